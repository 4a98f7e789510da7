import numpy as np
import pandas as pd
import pytest
from small_cohorts import bracs_sheet, write_bracs_workbook, write_features

from mil_bench.bags.labels.cohort import OpenFeatures, assemble
from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import DataError, FeatureError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.store import BagStore
from mil_bench.datasets.bracs import LEAVES, Bracs


def labels_of(root, **options):
    return Bracs().cohort(DatasetOptions(data_root=root, **options)).labels


def sets_of(labels):
    return {name: set(ids) for name, ids in labels.official[0].sets()}


def test_the_official_workbook_has_547_slides_of_189_patients_in_the_official_split(shared):
    labels = labels_of(shared / "data/labels/bracs")
    table = labels.manifest.table
    assert len(table) == 547
    assert table["patient_id"].nunique() == 189
    assert {name: len(ids) for name, ids in labels.official[0].sets()} == {
        "train": 395,
        "val": 65,
        "test": 87,
    }
    counts = table["label"].value_counts()
    assert [counts[leaf] for leaf in LEAVES] == [44, 147, 74, 41, 48, 61, 132]


def test_patient_67_and_the_78_mixed_patients_are_found_in_the_official_workbook(shared):
    findings = labels_of(shared / "data/labels/bracs").findings
    leak = next(f for f in findings if "patient 67 " in f)
    for slide in ("BRACS_1631", "BRACS_1633", "BRACS_1634", "BRACS_1614", "BRACS_1632"):
        assert slide in leak
    assert sum("official sets" in f for f in findings) == 1
    assert any("78 of 189 patients" in f for f in findings)
    assert not any("of the official" in f for f in findings)  # counts are as published


def test_dropping_leaky_patients_removes_the_five_slides_of_patient_67(shared):
    labels = labels_of(shared / "data/labels/bracs", drop_leaky_patients=True)
    assert len(labels.manifest) == 542
    labels.official.check(labels.manifest.groups())


def test_another_projects_csv_agrees_in_label_and_set_and_has_no_patients(shared, tmp_path):
    official = labels_of(shared / "data/labels/bracs")
    copy = tmp_path / "bracs.csv"
    copy.write_bytes((shared / "data/labels/bracs/bracs_acmil.csv").read_bytes())
    labels = labels_of(tmp_path)
    assert labels.manifest.labels() == official.manifest.labels()
    assert sets_of(labels) == sets_of(official)
    assert not labels.manifest.has_patients
    assert any("no real patients" in finding for finding in labels.findings)


def test_the_first_sheet_decides_the_split(tmp_path):
    labels = labels_of(write_bracs_workbook(tmp_path))
    assert sets_of(labels) == {
        "train": {"BRACS_1", "BRACS_2"},
        "val": {"BRACS_3", "BRACS_4", "BRACS_5"},
        "test": {"BRACS_6"},
    }
    assert any("1 of 4 patients" in finding for finding in labels.findings)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_export_reads_like_the_workbook(tmp_path, separator):
    bracs_sheet().to_csv(tmp_path / "bracs_export.csv", sep=separator, index=False)
    exported = labels_of(tmp_path)
    workbook = labels_of(write_bracs_workbook(tmp_path / "bracs"))
    pd.testing.assert_frame_equal(exported.manifest.table, workbook.manifest.table)
    assert exported.official == workbook.official


def test_an_export_of_the_wrong_sheet_is_refused(tmp_path):
    sheet = bracs_sheet().assign(**{"Total RoI number": 3})
    sheet.to_csv(tmp_path / "BRACS.csv", index=False)
    with pytest.raises(DataError, match=r"WSI_with_RoI_Distribution.*expected.*WSI_Information"):
        labels_of(tmp_path)


def test_label_and_set_are_read_from_the_official_folder_tree(tmp_path):
    for place in ("train/Group_BT/Type_N/BRACS_1", "test/Group_MT/Type_IC/BRACS_6"):
        path = tmp_path / "BRACS_WSI" / f"{place}.svs"
        path.parent.mkdir(parents=True)
        path.touch()
    labels = labels_of(tmp_path)
    assert labels.manifest.labels() == {"BRACS_1": "N", "BRACS_6": "IC"}
    assert sets_of(labels) == {"train": {"BRACS_1"}, "val": set(), "test": {"BRACS_6"}}


def test_a_slide_in_two_folders_of_the_tree_is_refused(tmp_path):
    for place in ("train/Group_BT/Type_N", "test/Group_BT/Type_N"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "BRACS_1.svs").touch()
    with pytest.raises(DataError, match="BRACS_1 is in test/N and in train/N"):
        labels_of(tmp_path)


def test_slides_that_the_official_table_has_and_the_file_has_not_are_counted(tmp_path):
    findings = labels_of(write_bracs_workbook(tmp_path)).findings
    assert any("the test set has 1 of the official 87 slides" in f for f in findings)


def test_the_root_may_be_the_folder_itself_or_the_one_above(tmp_path):
    write_bracs_workbook(tmp_path / "BRACS")
    assert len(labels_of(tmp_path).manifest) == len(labels_of(tmp_path / "BRACS").manifest) == 6


def test_a_root_without_label_file_says_what_is_expected_and_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"no label file of bracs in .*BRACS\.xlsx.*bracs\.icar"):
        labels_of(tmp_path)
    with pytest.raises(DataError, match="--data-root"):
        labels_of(None)


def test_a_label_outside_the_tree_names_the_slide_and_the_nearest_label(tmp_path):
    bracs_sheet().replace({"WSI label": {"ADH": "ADHD"}}).to_csv(tmp_path / "BRACS.csv")
    with pytest.raises(DataError, match=r"slide BRACS_4: .*'ADHD' of .*; did you mean 'ADH'"):
        labels_of(tmp_path)


def test_an_id_that_would_leave_its_folder_is_refused(tmp_path):
    bracs_sheet().replace("BRACS_4", "../BRACS_4").to_csv(tmp_path / "BRACS.csv")
    with pytest.raises(DataError, match=r"'\.\./BRACS_4'"):
        labels_of(tmp_path)


def test_labels_and_features_become_a_dataset(tmp_path):
    root = write_bracs_workbook(tmp_path)
    write_features(root / "features" / "uni_v1", bracs_sheet()["WSI Filename"])
    dataset = Bracs().load(DatasetOptions(data_root=root, cache=tmp_path / "cache"))
    assert set(dataset.store.rows) == set(dataset.manifest.slide_ids)
    assert (dataset.kind, dataset.name, dataset.store.dim) == ("real", "bracs", 4)


def test_missing_features_are_refused_with_ids_or_recorded(tmp_path):
    root = write_bracs_workbook(tmp_path)
    write_features(root / "features" / "uni_v1", bracs_sheet()["WSI Filename"][:4])
    options = {"data_root": root, "cache": tmp_path / "cache"}
    with pytest.raises(FeatureError, match="BRACS_5"):
        Bracs().load(DatasetOptions(**options))
    dataset = Bracs().load(DatasetOptions(**options, allow_missing=True))
    assert set(dataset.missing) == {"BRACS_5", "BRACS_6"}
    assert len(dataset.manifest) == 4
    assert set(dataset.official[0].val) == {"BRACS_3", "BRACS_4"}
    assert any("2 of 6 labelled slides" in finding for finding in dataset.findings)


def test_a_marked_root_makes_the_cohort_simulated(tmp_path):
    root = write_bracs_workbook(tmp_path / "bracs")
    (tmp_path / "SIMULATED.json").write_text('{"like": "bracs"}')
    assert Bracs().cohort(DatasetOptions(data_root=root)).kind == "simulated"


def test_a_tree_file_over_the_same_leaves_replaces_the_tree_and_others_are_refused(tmp_path):
    root = write_bracs_workbook(tmp_path)
    own = tmp_path / "two.toml"
    own.write_text('[tree]\nrest = ["N","PB","UDH","FEA","ADH"]\ncancer = ["DCIS","IC"]\n')
    cohort = Bracs().cohort(DatasetOptions(data_root=root, tree=str(own)))
    assert cohort.taxonomy.classes["coarse"] == ("rest", "cancer")
    assert cohort.taxonomy.titles["IC"] == "Invasive Carcinoma"
    own.write_text('[tree]\nrest = ["N","PB","UDH","FEA","ADH"]\ncancer = ["DCIS","LCIS"]\n')
    with pytest.raises(DataError, match=r"\['IC'\] are missing and \['LCIS'\] are unknown"):
        Bracs().cohort(DatasetOptions(data_root=root, tree=str(own)))


def test_an_imported_split_may_list_the_patients_that_were_dropped(shared):
    options = DatasetOptions(data_root=shared / "data/labels/bracs", drop_leaky_patients=True)
    cohort = Bracs().cohort(options)
    assert len(cohort.labels.dropped) == 5
    no_features = BagStore("none", np.zeros((0, 1)), None, {}, "")
    dataset = assemble(cohort, OpenFeatures(no_features))
    split = make_split(str(shared / "data/labels/hmil/BRACS_10folds.csv.gz"), dataset)
    listed = {slide for fold in split.folds for _, ids in fold.sets() for slide in ids}
    assert not listed & set(cohort.labels.dropped)
    assert any("listed slides are excluded" in note.text for note in split.notes)
