"""Split files, written here as each tool writes them, come back as the folds they say."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from split_cohort import dataset, mixed, note_text, of_patients

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import SplitError
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.sets import SETS
from mil_bench.contract.split import Fold, Split

DATA = mixed()
REFERENCE = make_split("mccv-12", DATA)


def ragged(fold: Fold, name="{}", cell="{}") -> pd.DataFrame:
    """As ``pandas.concat(axis=1)`` of columns of unequal length."""
    columns = [
        pd.Series([cell.format(s) for s in ids], name=name.format(n)) for n, ids in fold.sets()
    ]
    return pd.concat(columns, axis=1)


def write_clam(folder):
    for k, fold in enumerate(REFERENCE.folds):
        ragged(fold).to_csv(folder / f"splits_{k}.csv")
        ragged(fold).notna().sum().to_frame("A").T.to_csv(folder / f"splits_{k}_descriptor.csv")
    return folder


def write_clam_bool(folder):
    for k, fold in enumerate(REFERENCE.folds):
        home = {s: name for name, ids in fold.sets() for s in ids}
        rows = pd.DataFrame({name: {s: home[s] == name for s in sorted(home)} for name in SETS})
        rows.to_csv(folder / f"splits_{k}_bool.csv")
    return folder


def write_transmil(folder):
    for k, fold in enumerate(REFERENCE.folds):
        table = ragged(fold)
        for name in SETS:
            table.insert(
                table.columns.get_loc(name) + 1, f"{name}_label", table[name].notna() * 1.0
            )
        table.to_csv(folder / f"fold{k}.csv")
    return folder


def write_mil_baseline(folder):
    for k, fold in enumerate(REFERENCE.folds, start=1):
        # Rows keep the index of the whole table, so that every column is sparse.
        home = {s: name for name, ids in fold.sets() for s in ids}
        whole = pd.DataFrame({"s": sorted(home)})
        columns = []
        for name in SETS:
            part = whole[[home[s] == name for s in whole["s"]]]["s"]
            columns.append(("/data/a b/pt_files/" + part + ".pt").rename(f"{name}_slide_path"))
            columns.append((part.str.len() * 0.0).rename(f"{name}_label"))
        table = pd.concat(columns, axis=1)
        table.to_csv(folder / f"Total_12-fold_toy_{k}fold.csv", index=False)
    return folder


def write_patho_bench(folder):
    table = REFERENCE.table().set_index("slide_id")
    table.insert(0, "case_id", DATA.manifest.groups())
    table.insert(1, "subtype", DATA.manifest.labels())
    table = table.reset_index()[["case_id", "slide_id", "subtype", *table.columns[2:]]]
    table.to_csv(folder / "k=all.tsv", sep="\t", index=False)
    (folder / "config.yaml").write_text("task_col: subtype\n")
    return folder


def write_own(folder):
    return REFERENCE.save(folder)


def write_own_gzip_of_hmil_folds(folder):
    table = REFERENCE.table().rename(columns=lambda name: name.replace("fold_", "fold"))
    path = folder / "10folds.csv.gz"
    table.sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


def write_semicolons_with_a_byte_order_mark(folder):
    path = folder / "excel.csv"
    REFERENCE.table().to_csv(path, sep=";", index=False, encoding="utf-8-sig")
    return path


WRITERS = [
    write_clam,
    write_clam_bool,
    write_transmil,
    write_mil_baseline,
    write_patho_bench,
    write_own,
    write_own_gzip_of_hmil_folds,
    write_semicolons_with_a_byte_order_mark,
]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__[6:])
def test_twelve_folds_come_back_as_written(write, tmp_path):
    split = make_split(str(write(tmp_path)), DATA)
    assert split.digest() == REFERENCE.digest()
    assert split.mode == "imported"
    split.check(DATA.manifest.groups())


@pytest.mark.parametrize(
    "columns", [("slide_id", "split"), ("bag_name", "split"), ("WSI Filename", "Set")]
)
def test_one_fold_with_a_column_of_sets_comes_back_as_written(columns, tmp_path):
    spelled = {"train": "Training", "val": "valid", "test": "test"}
    rows = [(s, spelled[name]) for name, ids in REFERENCE[0].sets() for s in ids]
    pd.DataFrame(rows, columns=list(columns)).to_csv(tmp_path / "splits.csv", index=False)
    split = make_split(str(tmp_path), DATA)
    assert split.digest() == Split("", "", REFERENCE.folds[:1]).digest()


def test_one_clam_file_is_one_fold(tmp_path):
    path = write_clam(tmp_path) / "splits_11.csv"
    split = make_split(str(path), DATA)
    assert split.digest() == Split("", "", REFERENCE.folds[11:]).digest()
    assert split.name == f"clam-{tmp_path.name}-splits_11"


def test_numbered_folds_are_tested_in_turn_and_the_next_one_validates(tmp_path):
    number = {s: k + 1 for k, f in enumerate(make_split("kfold-4", DATA).folds) for s in f.test}
    path = tmp_path / "train-4fold.csv"
    pd.DataFrame(number.items(), columns=["image_id", "kfold"]).to_csv(path)
    assert make_split(str(path), DATA).digest() == make_split("kfold-4", DATA).digest()


def test_stamp_patients_become_their_slides_and_validation_is_drawn(tmp_path):
    folds = make_split("kfold-3", DATA).folds
    groups = DATA.manifest.groups()
    splits = [
        {
            "train_patients": sorted({groups[s] for s in fold.train + fold.val}),
            "test_patients": sorted({groups[s] for s in fold.test}),
        }
        for fold in folds
    ]
    (tmp_path / "splits.json").write_text(json.dumps({"splits": splits}))
    split = make_split(str(tmp_path), DATA)
    split.check(groups)
    for fold, wanted in zip(split.folds, folds, strict=True):
        assert set(fold.test) == set(wanted.test)
        assert set(fold.train + fold.val) == set(wanted.train + wanted.val)
    assert make_split(str(tmp_path), DATA).digest() == split.digest()


def test_patho_bench_without_validation_draws_it_from_train_by_patient(tmp_path):
    table = REFERENCE.table().replace("val", "train")
    table.insert(0, "case_id", [DATA.manifest.groups()[s] for s in table["slide_id"]])
    table.to_csv(tmp_path / "k=all.tsv", sep="\t", index=False)
    split = make_split(str(tmp_path), DATA)
    split.check(DATA.manifest.groups())
    assert split.name == f"patho-bench-{tmp_path.name}"
    assert [set(f.test) for f in split.folds] == [set(f.test) for f in REFERENCE.folds]
    assert "no validation set is given" in note_text(split)


@pytest.mark.parametrize(
    "form", ["{}.svs", "{}.ome.tif", "{}_feat.pt", "/data/x/{}.h5", "C:\\x\\{}.pt"]
)
def test_file_names_in_place_of_slide_ids_are_matched(form, tmp_path):
    ragged(REFERENCE[0], cell=form).to_csv(tmp_path / "splits_0.csv")
    split = make_split(str(tmp_path), DATA)
    assert split.digest() == Split("", "", REFERENCE.folds[:1]).digest()


def test_numeric_ids_that_pandas_wrote_as_floats_are_matched(tmp_path):
    data = dataset(Manifest.build([10, 11, 12, 13], list("ABAB"), [1, 2, 3, 4]))
    path = tmp_path / "splits_0.csv"
    pd.DataFrame({"train": [10, 11], "val": [12, None], "test": [13, None]}).to_csv(path)
    assert "12.0" in path.read_text()
    assert make_split(str(path), data)[0] == Fold(("10", "11"), ("12",), ("13",))


def refused(tmp_path, rows, data=DATA):
    path = tmp_path / "my.csv"
    path.write_text("slide_id,split\n" + "".join(f"{s},{name}\n" for s, name in rows))
    with pytest.raises(SplitError) as info:
        make_split(str(path), data)
    return str(info.value)


ROWS = [(s, name) for name, ids in REFERENCE[0].sets() for s in ids]


def test_a_slide_in_two_sets_is_refused_by_name(tmp_path):
    slide = REFERENCE[0].test[0]
    assert f"slide '{slide}' is in train and again in test" in refused(
        tmp_path, [*ROWS, (slide, "train")]
    )


def test_a_slide_in_two_sets_under_two_spellings_is_refused_by_name(tmp_path):
    slide = REFERENCE[0].test[0]
    assert f"slide '{slide}' is in" in refused(tmp_path, [*ROWS, (f"{slide}.svs", "train")])


def test_unknown_slides_are_refused_and_listed_with_near_names(tmp_path):
    message = refused(tmp_path, [*ROWS, ("S_0001", "train"), ("other", "val")])
    assert "lists 2 slides unknown to the dataset" in message
    assert "S_0001, other" in message
    assert "nearest to the first: S_001" in message


def test_a_prefix_of_a_slide_id_is_another_slide(tmp_path):
    assert "S_00" in refused(tmp_path, [*ROWS, ("S_00", "train")])


def test_a_word_that_is_no_set_is_refused(tmp_path):
    assert "holds the set 'holdout'" in refused(tmp_path, [*ROWS[1:], (ROWS[0][0], "holdout")])


def test_a_split_without_test_slides_is_refused(tmp_path):
    assert "the test set is empty" in refused(tmp_path, [r for r in ROWS if r[1] != "test"])


def test_listed_slides_without_features_are_left_out_and_noted(tmp_path):
    gone = REFERENCE[0].test[0]
    table = DATA.manifest.table
    data = dataset(
        Manifest(table[table["slide_id"] != gone].reset_index(drop=True)), missing=[gone]
    )
    split = make_split(str(REFERENCE.save(tmp_path)), data)
    assert gone not in {s for fold in split.folds for _, ids in fold.sets() for s in ids}
    assert "1 listed slides are excluded from the dataset (no features, or dropped)" in note_text(
        split
    )


def test_slides_that_no_fold_lists_are_noted(tmp_path):
    bigger = of_patients([["A"], ["B"], ["A"], ["B"]])
    path = tmp_path / "my.csv"
    path.write_text("slide_id,split\nS_000,train\nS_001,val\nS_002,test\n")
    assert "1 slide is in no fold" in note_text(make_split(str(path), bigger))


def test_a_gap_in_the_numbers_of_folds_is_refused(tmp_path):
    (write_clam(tmp_path) / "splits_3.csv").unlink()
    with pytest.raises(SplitError, match="without gaps"):
        make_split(str(tmp_path), DATA)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("splits_0.csv", b"a,b\n1,2\n"),
        ("x.csv", b"\xff\xfe\x00\x00\xd8"),
        ("x.csv", b""),
        ("x.csv.gz", b"not gzip"),
        ("splits.json", b'{"splits": [3]}'),
        ("splits.json", b"{"),
        ("labels.txt", b"hello"),
    ],
)
def test_a_file_of_no_known_form_is_refused_in_one_sentence(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Exception, match=name) as info:
        make_split(str(path), DATA)
    assert info.type.__module__ == "mil_bench.base.errors"
    assert "\n" not in str(info.value)


def test_a_folder_without_splits_says_what_it_holds(tmp_path):
    (tmp_path / "notes.md").touch()
    with pytest.raises(SplitError, match=r"holds \['notes.md'\]"):
        make_split(str(tmp_path), DATA)


def test_a_folder_with_one_file_of_all_folds_asks_for_the_file(tmp_path):
    path = make_split("kfold-3", DATA).save(tmp_path)
    with pytest.raises(SplitError, match=f"pass it: --split {path}"):
        make_split(str(tmp_path), DATA)
    assert make_split(str(path), DATA).digest() == make_split("kfold-3", DATA).digest()
