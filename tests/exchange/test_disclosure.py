"""Counts that are hidden stay hidden, even from a reader who knows the rule."""

import itertools
from collections import defaultdict

import pytest

from mil_bench.base.errors import DataError
from mil_bench.exchange.disclosure import check_patients, rare, suppressed


def worlds(most, classes):
    """All cohorts of few classes, by what a reader sees of them: published counts and the total."""
    seen = defaultdict(list)
    for counts in itertools.product(range(most), repeat=classes):
        patients = dict(zip("abcd", counts, strict=False))
        hidden = suppressed(patients)
        view = tuple(None if name in hidden else n for name, n in patients.items())
        seen[view, sum(counts)].append(patients)
    return seen


@pytest.mark.parametrize(("classes", "most"), [(2, 26), (3, 16), (4, 12)])
def test_no_suppressed_count_follows_from_what_is_published(classes, most):
    for (view, total), possible in worlds(most, classes).items():
        hidden = total - sum(n for n in view if n is not None)
        if total < 20 or hidden > most:  # refused, or larger than the worlds that are listed
            continue
        for i, name in enumerate("abcd"[:classes]):
            counts = {world[name] for world in possible}
            if view[i] is None and min(counts) < 5:
                assert len(counts) > 1, (view, total, name)


def test_a_single_rare_class_takes_another_with_it():
    assert suppressed({"a": 50, "b": 3, "c": 40}) == {"b", "c"}
    assert suppressed({"a": 50, "c": 40, "b": 3}) == {"a", "b"}


def test_a_small_sum_takes_a_third():
    # 1 and 5 alone: six together, of which the other has at least five
    assert suppressed({"a": 1, "b": 5, "c": 40}) == {"a", "b", "c"}


def test_absent_classes_hide_nothing():
    assert suppressed({"a": 0, "b": 30}) == frozenset()
    assert rare({"a": 0, "b": 4, "c": 5}) == ["b"]


@pytest.mark.parametrize(("patients", "folds"), [(19, {0: 19}), (40, {0: 31, 1: 9})])
def test_too_few_patients_are_refused(patients, folds):
    with pytest.raises(DataError, match="at least"):
        check_patients(patients, folds)


def test_enough_patients_pass():
    check_patients(20, {0: 10, 1: 10})
