"""Class-wise scores against scikit-learn, class by class."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_cases import BRACS, DEEP, GRADES, decided, make, predictions, random_predictions
from sklearn import metrics as sk

from mil_bench.evaluation.metrics import CLASS_METRICS, Score
from mil_bench.evaluation.ranking import auc_and_precision
from mil_bench.evaluation.scores import Scores
from mil_bench.evaluation.sums import ones


def same(ours, theirs):
    return ours == pytest.approx(theirs, abs=1e-12, nan_ok=True)


def classwise_scores(p):
    """Every class of every level, from the top, from every source."""
    scores = Scores.of(p)
    for level in p.taxonomy.levels:
        for source in p.sources(level):
            for name in p.taxonomy.classes[level]:
                values = {m: scores.values[Score(m, level, source, name)] for m in CLASS_METRICS}
                support, patients = scores.support[level, name]
                yield SimpleNamespace(
                    level=level,
                    source=source,
                    name=name,
                    support=support,
                    patients=patients,
                    **values,
                )


@given(predictions())
@settings(deadline=None, max_examples=20)
def test_every_class_of_every_level_equals_scikit_learn(p):
    for row in classwise_scores(p):
        k = p.taxonomy.classes[row.level].index(row.name)
        truth = p.truth(row.level) == k
        probs = p.probabilities(row.level, row.source)
        decision = probs.argmax(1) == k
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nan = {"zero_division": math.nan}
            assert same(row.sensitivity, sk.recall_score(truth, decision, **nan))
            assert same(row.specificity, sk.recall_score(~truth, ~decision, **nan))
            assert same(row.ppv, sk.precision_score(truth, decision, **nan))
            assert same(row.npv, sk.precision_score(~truth, ~decision, **nan))
            assert same(row.f1, sk.f1_score(truth, decision, **nan))
        assert row.support == truth.sum()
        assert row.patients == len({g for g, t in zip(p.groups, truth, strict=True) if t})
        if truth.all() or not truth.any():
            assert math.isnan(row.auc)
            assert math.isnan(row.ap)
        else:
            assert same(row.auc, sk.roc_auc_score(truth, probs[:, k]))
            assert same(row.ap, sk.average_precision_score(truth, probs[:, k]))


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40).filter(
        lambda rows: len({positive for positive, _ in rows}) == 2
    )
)
@settings(deadline=None)
def test_auc_and_average_precision_handle_ties(rows):
    positive, score = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], float)
    (auc,), (precision,) = auc_and_precision(positive, score, ones(len(rows)))
    assert same(auc, sk.roc_auc_score(positive, score))
    assert same(precision, sk.average_precision_score(positive, score))


def test_a_class_without_slides_is_undefined_and_never_one_half():
    p = random_predictions(BRACS, labels=[0, 1, 2] * 5)
    absent = next(r for r in classwise_scores(p) if r.name == "IC")
    assert math.isnan(absent.auc)
    assert math.isnan(absent.ap)
    assert math.isnan(absent.sensitivity)
    assert absent.support == absent.patients == 0


def test_patients_are_counted_once_per_class():
    p = make(GRADES, [0, 0, 0, 1], {"leaf": np.full((4, 6), 1 / 6)}, groups=["a", "a", "b", "a"])
    rows = {r.name: r for r in classwise_scores(p) if r.level == "leaf"}
    assert (rows["0"].support, rows["0"].patients) == (3, 2)
    assert (rows["1"].support, rows["1"].patients) == (1, 1)


def test_levels_with_a_head_of_their_own_come_from_both_sources():
    p = random_predictions(DEEP, heads=("coarse",))
    seen = list(dict.fromkeys((r.level, r.source) for r in classwise_scores(p)))
    assert seen == [
        ("coarse", "summed"),
        ("coarse", "direct"),
        ("level2", "summed"),
        ("leaf", "direct"),
    ]


def test_the_classes_of_a_hand_made_confusion():
    # truth N N PB; decided N PB PB
    rows = {r.name: r for r in classwise_scores(decided(BRACS, [0, 0, 1], [0, 1, 1]))}
    n, pb = rows["N"], rows["PB"]
    assert (n.sensitivity, n.specificity, n.ppv, n.npv) == (0.5, 1.0, 1.0, 0.5)
    assert (pb.sensitivity, pb.specificity, pb.ppv, pb.npv) == (1.0, 0.5, 0.5, 1.0)
    assert n.f1 == pytest.approx(2 / 3)


def test_random_predictions_are_at_chance_in_every_class():
    for row in classwise_scores(random_predictions(BRACS, n=40_000, heads=("coarse",))):
        prevalence = row.support / 40_000
        assert row.auc == pytest.approx(0.5, abs=0.015)
        assert row.ap == pytest.approx(prevalence, abs=0.015)
        assert row.ppv == pytest.approx(prevalence, abs=0.015)
        assert row.npv == pytest.approx(1 - prevalence, abs=0.015)
        assert row.sensitivity + row.specificity == pytest.approx(1, abs=0.02)
