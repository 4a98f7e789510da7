"""Leaks, overlaps, and what a split refuses; also that a saved split is the split."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_cohort import dataset, mixed, of_patients

from mil_bench.bags.splits.make import CONSEQUENCES, leak_share, make_split, notes_on
from mil_bench.base.errors import SplitError
from mil_bench.base.finding import Note
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Fold, Split

GROUPS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c", "d1": "d"}
CLEAN = Split("my", "imported", (Fold(("a1", "a2"), ("b1", "b2"), ("c1", "d1")),))
LEAKY = Split("my", "imported", (Fold(("a1", "b1"), ("c1",), ("a2", "d1")),))
MANIFEST = Manifest.build(list(GROUPS), list("AABBAB"), list(GROUPS.values()))


def test_a_leak_is_refused_with_group_slides_and_remedies_unless_allowed():
    with pytest.raises(SplitError) as info:
        LEAKY.check(GROUPS)
    for word in ("group 'a'", "train (a1)", "test (a2)", "--allow-leaks", "--drop-leaky-patients"):
        assert word in str(info.value)
    LEAKY.check(GROUPS, allow_leaks=True)
    CLEAN.check(GROUPS)


@pytest.mark.parametrize(
    ("fold", "words"),
    [
        (Fold(("a1",), ("b1",), ()), "the test set is empty"),
        (Fold(("a1",), ("b1",), ("x9",)), "test slide 'x9' is not in the dataset"),
        (Fold(("a1",), ("b1",), ("c1", "a1")), "slide 'a1' is in train and again in test"),
        (Fold(("a1", "a1"), ("b1",), ("c1",)), "slide 'a1' is in train and again in train"),
    ],
)
def test_a_malformed_fold_is_refused_even_where_leaks_are_allowed(fold, words):
    with pytest.raises(SplitError, match=words):
        Split("my", "imported", (fold,)).check(GROUPS, allow_leaks=True)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("pqrst"), st.sampled_from(["train", "val", "test"])), min_size=1
    )
)
def test_the_share_of_leaks_is_that_of_a_join(rows):
    table = pd.DataFrame(rows, columns=["group", "set"]).assign(slide=lambda t: t.index.astype(str))
    fold = Fold(*(tuple(table["slide"][table["set"] == s]) for s in ("train", "val", "test")))
    groups = dict(zip(table["slide"], table["group"], strict=True))
    trained = table[["group"]][table["set"] == "train"].drop_duplicates()
    joined = table[table["set"] == "test"].merge(trained, how="left", indicator=True)
    share = (joined["_merge"] == "both").mean() if len(joined) else 0.0
    assert leak_share(fold, groups) == pytest.approx(share)
    crossing = table.groupby("group")["set"].nunique().max() > 1
    assert any(leak_share(fold, groups, *pair) > 0 for pair in CONSEQUENCES) == crossing


def test_notes_of_a_clean_partition_are_empty():
    assert make_split("kfold-5", mixed()).notes == ()


def test_notes_name_the_leak_of_one_fold():
    text = "leak: 50 % of the test slides share a patient with train; test scores will be too high"
    assert notes_on(LEAKY, MANIFEST) == (Note("leak", text),)


def test_folds_with_one_test_set_are_told_from_overlapping_draws():
    same = Split("my", "imported", CLEAN.folds * 3)
    assert "all 3 folds have the same test set" in " ".join(map(str, notes_on(same, MANIFEST)))
    two = Fold(("a1", "a2"), ("b1", "b2"), ("c1",))
    draws = Split("my", "imported", (*CLEAN.folds, two))
    assert (
        "2 overlapping Monte-Carlo draws, not a 2-fold partition: 2 slides are tested, 1 of them "
        in (" ".join(map(str, notes_on(draws, MANIFEST))))
    )


def test_a_leaky_official_split_is_noted_and_left_to_check():
    data = of_patients([["A", "A"], ["B", "B"], ["A"], ["B"]])
    fold = Fold(("S_000", "S_002"), ("S_003", "S_004"), ("S_001", "S_005"))
    official = Split("official", "official", (fold,))
    split = make_split("official", dataset(data.manifest, official=official))
    assert split.folds == official.folds
    assert any(
        note.kind == "leak" and "50 % of the test slides" in note.text for note in split.notes
    )
    with pytest.raises(SplitError, match="leaks"):
        split.check(data.manifest.groups())


def test_a_saved_split_has_its_digest_in_the_name_and_reads_back(tmp_path):
    split = make_split("kfold-4", mixed())
    path = split.save(tmp_path / "new")
    assert path.name == f"kfold-4-{split.digest()}.csv"
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table.columns) == ["slide_id", "fold_0", "fold_1", "fold_2", "fold_3"]
    assert make_split(str(path), mixed()).digest() == split.digest()
    before = path.stat().st_mtime_ns
    assert split.save(tmp_path / "new") == path
    assert path.stat().st_mtime_ns == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_digest_ignores_order_within_a_set_and_sees_a_moved_slide():
    fold = CLEAN[0]
    turned = Fold(fold.train[::-1], fold.val[::-1], fold.test[::-1])
    moved = Fold((*fold.train, "b1"), ("b2",), fold.test)
    assert Split("x", "y", (turned,)).digest() == CLEAN.digest()
    assert Split("x", "y", (moved,)).digest() != CLEAN.digest()


def test_a_fold_that_does_not_exist_is_an_error():
    with pytest.raises(SplitError, match="has the folds 0 to 0"):
        CLEAN[1]
