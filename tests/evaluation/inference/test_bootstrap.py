"""Methods side by side: means over folds and seeds, pairing, and what both refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_cases import cells, named
from prediction_cases import FLAT, make, random_predictions
from sklearn.metrics import roc_auc_score

from mil_bench.base.errors import DataError
from mil_bench.evaluation.inference.bootstrap import Bootstrap, common, replicate
from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.scores import Scores

ACCURACY, AUC = Score("accuracy"), Score("macro_auc")


@pytest.fixture(scope="module")
def three():
    methods = {f"m{i}": cells(method=i, skill=0.5 + i, heads=()) for i in range(3)}
    return methods, Bootstrap.of(methods, replicates=300)


def test_a_score_is_the_mean_over_folds_then_over_seeds(three):
    methods, found = three
    for name, score in (("accuracy", ACCURACY), ("macro_auc", AUC)):
        values = {cell: Scores.of(p).by_name[name] for cell, p in methods["m0"].items()}
        by_seed = [np.mean([values[s, f] for f in range(3)]) for s in range(2)]
        assert found.scores["m0"][score].value == pytest.approx(np.mean(by_seed), abs=1e-12)


def test_an_auc_is_averaged_over_folds_inside_every_replicate_and_never_pooled():
    p, q = (random_predictions(FLAT, n=40, seed=s, skill=1.0) for s in (1, 2))
    folds = {(0, 0): named(p, "a"), (0, 1): named(q, "b")}
    r = Resampling.of(folds.values(), 30)
    found = replicate(folds, r)[Score("auc", "leaf", "direct", "yes")]
    for b in range(30):
        aucs = [
            roc_auc_score(
                fold.labels, fold.heads["leaf"][:, 1], sample_weight=r.of_slides(fold)[:, 1 + b]
            )
            for fold in folds.values()
        ]
        assert found.draws[b] == pytest.approx(np.mean(aucs), abs=1e-10)


def test_a_fold_without_a_class_is_left_out_of_the_mean_of_its_auc():
    whole = make(FLAT, [0, 1, 0, 1], {"leaf": np.eye(2)[[0, 1, 1, 1]]})
    alone = named(make(FLAT, [0, 0], {"leaf": np.eye(2)[[0, 0]]}), "other")
    folds = {(0, 0): whole, (0, 1): alone}
    found = replicate(folds, Resampling.of(folds.values(), 20))
    assert found[Score("auc", "leaf", "direct", "yes")].value == 0.75
    assert np.isnan(replicate({(0, 0): alone}, Resampling.of([alone], 20))[AUC].low)


def test_the_order_and_number_of_methods_change_nothing(three):
    methods, found = three
    again = Bootstrap.of({n: methods[n] for n in ("m2", "m0")}, replicates=300)
    a, b = found.difference("m2", "m0", AUC), again.difference("m2", "m0", AUC)
    np.testing.assert_array_equal(a.draws, b.draws)
    back = again.difference("m0", "m2", AUC)
    assert (back.value, back.p) == (-a.value, a.p)
    assert (back.low, back.high) == pytest.approx((-a.high, -a.low), abs=1e-12)


def test_a_method_does_not_differ_from_itself(three):
    same = three[1].difference("m1", "m1", ACCURACY)
    assert (same.value, same.low, same.high, same.p, same.superiority) == (0, 0, 0, 1, 0.5)


def test_a_clear_difference_is_found(three):
    clear = three[1].difference("m2", "m0", ACCURACY)
    assert clear.low > 0
    assert clear.p < 0.01
    assert clear.superiority == 1


def test_equal_numbers_from_several_seeds_are_narrower_than_one_seed(three):
    methods, found = three
    one = Bootstrap.of({"m1": {c: p for c, p in methods["m1"].items() if c[0] == 0}}, 300)
    both, single = found.scores["m1"][ACCURACY], one.scores["m1"][ACCURACY]
    assert both.error < single.error


def test_slides_of_a_patient_widen_the_interval():
    p = random_predictions(n=200, skill=1.0)
    blocks = np.array([f"p{i // 10}" for i in np.argsort(np.argsort(p.heads["leaf"].max(1)))])
    grouped, single = replace(p, groups=blocks), replace(p, groups=p.slide_ids)
    errors = [
        replicate({(0, 0): q}, Resampling.of([q], 500))[Score("brier")].error
        for q in (grouped, single)
    ]
    assert errors[0] > 1.3 * errors[1]


def test_other_slides_cannot_be_paired_but_common_ones_can():
    a, b = cells(heads=()), cells(method=1, heads=())
    b[0, 1] = cut(b[0, 1], slice(5, None))
    with pytest.raises(DataError, match="a and b, seed 0 fold 1: 5 slides are predicted by one"):
        Bootstrap.of({"a": a, "b": b}, 10)
    both, told = common({"a": a, "b": b})
    assert told == "compared on shared slides: 5 of 715 predictions are excluded"
    assert len(both["a"][0, 1]) == 55
    Bootstrap.of(both, 10)


def test_other_cells_labels_or_patients_cannot_be_paired():
    a = cells(heads=())
    fewer = {cell: p for cell, p in a.items() if cell != (1, 2)}
    with pytest.raises(DataError, match=r"have different \(seed, fold\) pairs"):
        Bootstrap.of({"a": a, "b": fewer}, 10)
    for field, wrong in (("labels", (a[0, 0].labels + 1) % 7), ("groups", a[0, 0].slide_ids)):
        other = {**a, (0, 0): replace(a[0, 0], **{field: wrong})}
        with pytest.raises(DataError, match=f"{field} of 60 slides differ"):
            Bootstrap.of({"a": a, "b": other}, 10)
    with pytest.raises(DataError, match="no predictions to compare"):
        Bootstrap.of({})


def test_the_order_of_slides_in_a_file_does_not_matter():
    a, b = cells(heads=()), cells(method=1, heads=())
    turned = {cell: cut(p, slice(None, None, -1)) for cell, p in b.items()}
    one, two = (Bootstrap.of({"a": a, "b": x}, 50).difference("a", "b", AUC) for x in (b, turned))
    np.testing.assert_allclose(one.draws, two.draws, atol=1e-12)


def cut(p, rows):
    heads = {level: probs[rows] for level, probs in p.heads.items()}
    return replace(
        p, slide_ids=p.slide_ids[rows], groups=p.groups[rows], labels=p.labels[rows], heads=heads
    )


def test_patients_of_one_slide_each_agree_with_theory():
    p = random_predictions(FLAT, n=400, skill=0.5)
    p = replace(p, groups=p.slide_ids)
    found = replicate({(0, 0): p}, Resampling.of([p], 4000))[ACCURACY]
    share = found.value
    assert found.error == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.05)
