"""K-fold and Monte-Carlo splits: what must hold for any cohort."""

from __future__ import annotations

import warnings
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold
from split_cohort import bracs, dataset, mixed, note_text, of_patients

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import SplitError, UnknownNameError
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Fold, Split

PATIENTS = st.lists(
    st.lists(st.sampled_from("ABC"), min_size=1, max_size=4), min_size=5, max_size=25
)
SEEDS = st.integers(0, 5)
quick = settings(max_examples=40, deadline=None)


@quick
@given(PATIENTS, SEEDS, st.integers(3, 5))
def test_kfold_tests_and_validates_every_slide_once_and_keeps_patients_whole(patients, seed, k):
    data = of_patients(patients)
    split = make_split(f"kfold-{k}", data, seed)
    split.check(data.manifest.groups())
    slides = Counter(data.manifest.slide_ids)
    assert len(split) == k
    assert Counter(s for fold in split.folds for s in fold.test) == slides
    for i, fold in enumerate(split.folds):
        assert set(fold.val) == set(split[(i + 1) % k].test)
        assert Counter(fold.train + fold.val + fold.test) == slides


@quick
@given(PATIENTS, SEEDS, st.randoms())
@pytest.mark.parametrize("text", ["kfold-5", "mccv-2"])
def test_a_split_depends_on_the_seed_and_not_on_the_order_of_rows(text, patients, seed, random):
    data = of_patients(patients)
    order = list(range(len(data.manifest)))
    random.shuffle(order)
    shuffled = dataset(Manifest(data.manifest.table.iloc[order].reset_index(drop=True)))
    split = make_split(text, data, seed)
    assert split.digest() == make_split(text, shuffled, seed).digest()
    assert split.digest() == make_split(text, data, seed).digest()


@quick
@given(PATIENTS, SEEDS)
def test_every_train_set_holds_each_class_that_three_patients_have(patients, seed):
    data = of_patients(patients)
    labels = data.manifest.labels()
    carriers = Counter(label for p in patients for label in set(p))
    for fold in make_split("kfold-5", data, seed).folds:
        in_train = {labels[s] for s in fold.train}
        assert in_train >= {label for label, n in carriers.items() if n >= 3}


@quick
@given(st.lists(st.sampled_from("AAAAABBC"), min_size=30, max_size=120), SEEDS)
def test_slides_of_their_own_are_dealt_evenly_in_every_class(labels, seed):
    data = of_patients([[label] for label in labels])
    of = data.manifest.labels()
    for fold in make_split("kfold-5", data, seed).folds:
        found = Counter(of[s] for s in fold.test)
        for label, total in Counter(labels).items():
            assert abs(found[label] - total / 5) < 2


def some_cut_keeps_every_class_in_train(patients):
    """By trying all: whether three parts exist that each hold every class."""
    classes = set().union(*patients)
    return any(
        all(
            classes == set().union(*(p for p, at in zip(patients, cut, strict=True) if at == k))
            for k in range(3)
        )
        for cut in product(range(3), repeat=len(patients))
    )


@pytest.mark.parametrize("seed", range(12))
def test_train_lacks_a_class_only_where_no_cut_avoids_it(seed):
    rng = np.random.default_rng(seed)
    patients = [list(rng.choice(list("ABC"), rng.integers(1, 4))) for _ in range(6 + seed % 3)]
    notes = make_split("kfold-3", of_patients(patients)).notes
    lacks = any("has no train slide" in note.text for note in notes)
    assert lacks == (not some_cut_keeps_every_class_in_train(patients))


def test_a_class_of_two_patients_is_in_every_train_set():
    data = of_patients([["A"]] * 20 + [["B"], ["B"]])
    labels = data.manifest.labels()
    for seed in range(5):
        for fold in make_split("kfold-5", data, seed).folds:
            assert {labels[s] for s in fold.train} == {"A", "B"}


def test_a_class_of_one_patient_is_noted_where_train_lacks_it():
    split = make_split("kfold-5", of_patients([["A"]] * 20 + [["B", "B"]]))
    notes = [note for note in split.notes if "class B has no train slide in fold" in note.text]
    assert len(notes) == 1


def test_bracs_is_stratified_at_least_as_well_as_by_scikit_learn(shared):
    data = bracs(shared)
    slides, groups = data.manifest.slide_ids, list(data.manifest.table["group_id"])
    labels = np.array(data.manifest.table["label"])

    def worst(tests):
        shares = [np.mean(labels[test][:, None] == np.unique(labels), axis=0) for test in tests]
        overall = np.mean(labels[:, None] == np.unique(labels), axis=0)
        return np.abs(np.array(shares) - overall).max()

    position = {slide: i for i, slide in enumerate(slides)}
    ours = [[position[s] for s in f.test] for f in make_split("kfold-5", data).folds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        theirs = [test for _, test in reference.split(slides, labels, groups)]
    assert worst(ours) <= worst(theirs)
    assert {len(test) for test in ours} <= {108, 109, 110, 111}


@quick
@given(PATIENTS, SEEDS)
def test_monte_carlo_draws_are_complete_and_keep_patients_whole(patients, seed):
    data = of_patients(patients)
    split = make_split("mccv-3", data, seed)
    split.check(data.manifest.groups())
    for fold in split.folds:
        assert set(fold.train + fold.val + fold.test) == set(data.manifest.slide_ids)


def test_monte_carlo_draws_are_80_10_10_and_differ():
    data = of_patients([["A"], ["B"]] * 100)
    split = make_split("mccv-10", data)
    assert len({fold.test for fold in split.folds}) == 10
    for fold in split.folds:
        assert [len(ids) for _, ids in fold.sets()] == [160, 20, 20]
    assert split.mode == "monte-carlo"
    assert "10 overlapping Monte-Carlo draws, not a 10-fold" in note_text(split)


def test_large_patients_are_tested_as_often_as_small_ones():
    data = of_patients([["A"] * 5] * 5 + [["A"]] * 15)
    large = set(data.manifest.slide_ids[:25])
    tested = [bool(large & set(f.test)) for f in make_split("mccv-60", data).folds]
    assert 0.1 < np.mean(tested) < 0.9


def test_the_name_of_a_split_can_fix_its_seed():
    data = mixed()
    by_name, by_argument = make_split("kfold-5-seed3", data), make_split("kfold-5", data, seed=3)
    assert by_name == by_argument
    assert by_name.name == "kfold-5-seed3"
    assert by_name.digest() != make_split("kfold-5", data).digest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kfold-2", "at least kfold-3"),
        ("kfold-41", "requires at least 41 groups"),
        ("mccv-0", "at least one draw"),
        ("official", "no official split; use kfold-5"),
        ("no/such/file.csv", "does not exist"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(text, words):
    with pytest.raises(SplitError, match=words):
        make_split(text, mixed(40))


@pytest.mark.parametrize("text", ["kfld-5", "kfold"])  # a split says how many folds it has
def test_an_unknown_name_gets_suggestions(text):
    with pytest.raises(UnknownNameError, match="did you mean 'kfold-5'"):
        make_split(text, mixed())


def test_slides_without_features_never_appear_and_noisy_ones_only_in_evaluation():
    plain = mixed()
    gone, noisy = plain.manifest.slide_ids[:3], plain.manifest.slide_ids[3:9]
    data = dataset(plain.manifest, missing=gone, not_for_training=noisy)
    split = make_split("kfold-4", data)
    listed = {s for fold in split.folds for _, ids in fold.sets() for s in ids}
    assert listed == set(plain.manifest.slide_ids) - set(gone)
    assert not any(set(noisy) & set(fold.train) for fold in split.folds)
    assert set(noisy) <= {s for fold in split.folds for s in fold.test}
    assert "6 slides with doubtful labels" in note_text(split)


def test_an_official_split_without_validation_gets_a_grouped_one():
    plain = mixed()
    groups = plain.manifest.groups()
    test = tuple(s for s, g in groups.items() if g in {f"P{p}" for p in range(8)})
    train = tuple(s for s in groups if s not in test)
    data = dataset(plain.manifest, official=Split("official", "official", (Fold(train, (), test),)))
    split = make_split("official", data)
    split.check(groups)
    assert split[0].test == test
    assert set(split[0].train + split[0].val) == set(train)
    assert 0.05 < len(split[0].val) / len(train) < 0.2
    assert "no validation set" in note_text(split)
