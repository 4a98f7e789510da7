"""HMIL's pickles: plain lists are read, code is refused unexecuted, their leaks are told."""

from __future__ import annotations

import os
import pickle
import re

import pandas as pd
import pytest
from split_cohort import bracs, dataset, mixed, note_text

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import SplitError
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Split

DATA = mixed()
REFERENCE = make_split("mccv-3", DATA)


def write(folder, sets=("train", "val", "test"), prefix=""):
    labels = DATA.manifest.labels()
    for k, fold in enumerate(REFERENCE.folds):
        for name, ids in fold.sets():
            if name in sets:
                rows = [[s, labels[s], f"/server/pt_files/{s}.pt"] for s in ids]
                with (folder / f"{prefix}{name}_splits_{k}.pkl").open("wb") as file:
                    pickle.dump(rows, file)
    return folder


@pytest.mark.parametrize("prefix", ["", "TOY_"])
def test_a_folder_of_pickles_comes_back_as_written(prefix, tmp_path):
    split = make_split(str(write(tmp_path, prefix=prefix)), DATA)
    assert split.digest() == REFERENCE.digest()
    assert split.name == f"hmil-{tmp_path.name}"


def test_one_pickle_stands_for_its_fold_with_all_sets(tmp_path):
    split = make_split(str(write(tmp_path) / "test_splits_2.pkl"), DATA)
    assert split.digest() == Split("", "", REFERENCE.folds[2:]).digest()


def test_without_train_files_the_rest_of_the_dataset_trains(tmp_path):
    split = make_split(str(write(tmp_path, sets=("val", "test"))), DATA)
    assert split.digest() == REFERENCE.digest()
    assert "no train set, so all other slides are used for training" in note_text(split)


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_is_refused_and_not_executed(protocol, tmp_path):
    write(tmp_path)
    marker, path = tmp_path / "executed", tmp_path / "test_splits_0.pkl"
    payload = pickle.dumps([["S_000", "A", Hostile(marker)]], protocol)
    path.write_bytes(payload)
    with pytest.raises(SplitError, match=r"test_splits_0.pkl is refused: .*mkdir.*could run code"):
        make_split(str(tmp_path), DATA)
    assert not marker.exists()
    pickle.loads(payload)  # the payload does work where globals are allowed
    assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04]", b"garbage", pickle.dumps({"a": 1})])
def test_a_damaged_or_foreign_pickle_is_refused_in_one_sentence(content, tmp_path):
    (write(tmp_path) / "val_splits_1.pkl").write_bytes(content)
    with pytest.raises(SplitError, match=r"val_splits_1\.pkl is"):
        make_split(str(tmp_path), DATA)


def test_a_folder_with_pickles_of_two_datasets_is_refused(tmp_path):
    write(write(tmp_path, prefix="A_"), prefix="B_")
    with pytest.raises(SplitError, match="several datasets"):
        make_split(str(tmp_path), DATA)


def leak_text(split, words):
    """The sentence on the leak between test and train."""
    return next(n.text for n in split.notes if n.kind == "leak" and words in n.text)


def shares(note):
    return [float(x) for x in re.findall(r"\d?\.\d\d", note)]


def test_the_published_bracs_folds_leak_as_documented(shared):
    data = bracs(shared)
    split = make_split(str(shared / "data/labels/hmil/BRACS_10folds.csv.gz"), data)
    assert [[len(ids) for _, ids in fold.sets()] for fold in split.folds] == [[437, 54, 54]] * 10
    leak = leak_text(split, "share a patient with train")
    assert leak.startswith("leak: 72-87 %")
    assert shares(leak) == [0.80, 0.85, 0.80, 0.87, 0.85, 0.81, 0.78, 0.87, 0.72, 0.83]
    assert "362 slides are tested, 140 of them more than once" in note_text(split)
    assert "2 slides are in no fold" in note_text(split)
    with pytest.raises(SplitError, match="--allow-leaks"):
        split.check(data.manifest.groups())
    split.check(data.manifest.groups(), allow_leaks=True)


def test_the_published_panda_folds_share_near_duplicates_as_documented(shared):
    labels = pd.read_csv(shared / "data/labels/panda/train.csv")
    twins = pd.read_csv(
        shared / "data/labels/panda/duplicate_imgids_imghash_thres_090.csv", dtype=str
    )
    group = twins.set_index("image_id")["group_id"]
    data = dataset(
        Manifest.build(
            labels["image_id"], labels["isup_grade"], group_id=labels["image_id"].map(group)
        )
    )
    split = make_split(str(shared / "data/labels/hmil/PANDA_10folds.csv.gz"), data)
    leak = leak_text(split, "share a group with train")
    assert "(mean 18 %" in leak


@pytest.mark.parametrize(("name", "n"), [("BRACS", 54), ("PANDA", 1019)])
def test_the_original_pickles_are_read(name, n, shared):
    folds = pd.read_csv(shared / f"data/labels/hmil/{name}_10folds.csv.gz", dtype=str)
    data = dataset(Manifest.build(folds["slide_id"], folds["label"]))
    split = make_split(str(shared / f"data/labels/hmil/{name}_test_splits_0.pkl"), data)
    assert set(split[0].test) == set(folds["slide_id"][folds["fold0"] == "test"])
    assert len(split[0].test) == n
