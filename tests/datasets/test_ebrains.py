"""EBRAINS from small tables in the form that PANTHER publishes."""

import pytest

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import DataError, SplitError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.ebrains import GROUP_OF, Ebrains
from mil_bench.datasets.load import load_labels

HEAD = (
    "case_id,slide_id,diagnosis,diagnosis_group,grade,subtype,secondary_diagnosis,control,age,sex,"
    "location,laterality,cellularity,tissue_area,recurrence,comment,strat_label\n"
)
REST = """IV,,,0,60.0,male,"['parietal', 'occipital']",right,3594.8,88.0,0.0,,0"""
GLIOMA = f'"Glioblastoma, IDH-wildtype",Adult-type diffuse gliomas,{REST}'
PILOCYTIC = f"Pilocytic astrocytoma,Circumscribed astrocytic gliomas ,{REST}"  # a blank as there
METASTASIS = f"Metastatic tumours,Metastatic tumours,{REST}"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "ebrains"
    folder.mkdir()
    (folder / "train.csv").write_text(f"{HEAD}p1,s1,{GLIOMA}\np1,s2,{PILOCYTIC}\np2,s3,{GLIOMA}\n")
    (folder / "val.csv").write_text(f"{HEAD}p3,s4,{METASTASIS}\n")
    (folder / "test.csv").write_text(f"{HEAD}p4,s5,{PILOCYTIC}\n")
    return tmp_path


def labels_of(root):
    return Ebrains().cohort(DatasetOptions(data_root=root)).labels


def test_the_tree_has_thirty_diagnoses_in_twelve_groups():
    tree = Ebrains.card.tree(None)
    assert tree.levels == ("coarse", "leaf")
    assert [len(tree.classes[level]) for level in tree.levels] == [12, 30]


def test_a_diagnosis_that_is_its_own_group_stands_for_itself():
    tree = Ebrains.card.tree(None)
    assert ("Metastatic tumours",) in tree.paths
    assert "Metastatic tumours" in tree.classes["coarse"]


def test_the_tables_give_labels_patients_and_the_official_split(root):
    labels = labels_of(root)
    assert labels.manifest.labels()["s2"] == "Pilocytic astrocytoma"
    assert labels.manifest.groups()["s1"] == labels.manifest.groups()["s2"] == "p1"
    assert labels.official[0].train == ("s1", "s2", "s3")
    assert labels.official[0].test == ("s5",)
    assert labels.findings == (
        "1 of 4 patients have slides of different classes; splits keep patients together",
    )


def test_one_table_with_a_column_of_sets_is_the_same_cohort(root, tmp_path):
    rows = [
        line + f",{split}"
        for split in ("train", "val", "test")
        for line in (root / "ebrains" / f"{split}.csv").read_text().splitlines()[1:]
    ]
    own = tmp_path / "own"
    own.mkdir()
    (own / "ebrains.csv").write_text("\n".join([HEAD.strip() + ",split", *rows]))
    assert labels_of(own).manifest.labels() == labels_of(root).manifest.labels()
    assert labels_of(own).official == labels_of(root).official


def test_a_patient_in_two_official_sets_is_named_and_can_be_dropped(root):
    with (root / "ebrains" / "test.csv").open("a") as file:
        file.write(f"p2,s6,{GLIOMA}\n")
    assert any("patient p2 is in 2 official sets" in f for f in labels_of(root).findings)
    dataset = load_labels("ebrains", DatasetOptions(data_root=root))
    with pytest.raises(SplitError, match="p2"):
        make_split("official", dataset).check(dataset.manifest.groups())
    options = DatasetOptions(data_root=root, drop_leaky_patients=True)
    assert "s6" not in Ebrains().cohort(options).labels.manifest.labels()


def test_another_group_than_that_of_the_tree_is_a_finding(root):
    with (root / "ebrains" / "val.csv").open("a") as file:
        file.write(f'p9,s9,"Diffuse astrocytoma, IDH-mutant",Adult-type diffuse gliomas,{REST}\n')
    assert (
        "1 slide has another group in the file than in the tree "
        "(Diffuse astrocytoma, IDH-mutant: Adult-type diffuse gliomas)"
    ) in labels_of(root).findings


def test_a_diagnosis_outside_the_thirty_is_refused_with_the_nearest(root):
    with (root / "ebrains" / "val.csv").open("a") as file:
        file.write(f"p9,s9,Ependymomas,Ependymal Tumours,{REST}\n")
    with pytest.raises(DataError, match=r"slide s9: .*'Ependymomas' of .* mean 'Ependymoma'"):
        labels_of(root)


def test_a_folder_of_other_tables_is_not_ebrains(tmp_path):
    (tmp_path / "train.csv").write_text("image_id,isup_grade\ni1,0\n")
    with pytest.raises(DataError, match="no label file of ebrains"):
        labels_of(tmp_path)


def test_a_set_without_the_groups_is_told_and_not_lost(root):
    text = (root / "ebrains" / "test.csv").read_text()
    (root / "ebrains" / "test.csv").write_text(text.replace("diagnosis_group", "family"))
    with pytest.raises(DataError, match=r"test.csv has the columns .* expected 'diagnosis_group'"):
        labels_of(root)


def test_the_published_list_has_2319_slides_whole_patients_and_the_groups_of_the_tree(real_list):
    labels = labels_of(real_list("ebrains"))
    assert {name: len(ids) for name, ids in labels.official[0].sets()} == {
        "train": 1151,
        "val": 595,
        "test": 573,
    }  # Chen et al., UNI, Nature Medicine 2024
    assert set(labels.manifest.labels().values()) == set(GROUP_OF)
    assert not [told for told in labels.findings if "official sets" in told or "group" in told]
