"""Differences between precisions: which runs belong together, and what their interval is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from run_specs import SPEC
from scipy import stats

from benchmarks.quality import pairs, quality_rows
from mil_bench.base.errors import DataError
from mil_bench.boards.collect import RunRecord
from mil_bench.evaluation.metrics import Score

SHARE = 0.25
FULL = {(0, 0): 0.5, (1, 0): 0.6, (0, 1): 0.7, (1, 1): 0.5, (0, 2): 0.4, (1, 2): 0.8}
GAIN = {(0, 0): 0.04, (1, 0): 0.0, (0, 1): -0.01, (1, 1): 0.01, (0, 2): 0.05, (1, 2): 0.03}


def record(tmp_path, status="done", *, accuracy=0.5, **changes):
    of_metric = {Score("balanced_accuracy"): accuracy, Score("macro_auc"): accuracy}
    scores = SimpleNamespace(values=of_metric)
    result = SimpleNamespace(test_share=SHARE)
    spec = SPEC.model_copy(update=changes)
    return RunRecord(tmp_path, status, spec=spec, result=result, scores=scores)


def test_pairs_differ_in_precision_alone(tmp_path):
    records = [
        record(tmp_path, seed=0, precision="32"),
        record(tmp_path, seed=0, precision="bf16"),
        record(tmp_path, seed=1, precision="bf16"),
        record(tmp_path, seed=2, precision="32"),
        record(tmp_path, seed=3, precision="32"),
        record(tmp_path, "failed", seed=3, precision="bf16"),
    ]
    found = [(pair.full.spec, pair.low.spec) for pair in pairs(records)]
    assert found == [(records[0].spec, records[1].spec)]


def test_seeds_are_averaged_within_folds_which_alone_count(tmp_path):
    records = [
        record(tmp_path, seed=seed, fold=fold, precision=precision, accuracy=accuracy)
        for (seed, fold), full in FULL.items()
        for precision, accuracy in (("32", full), ("bf16", full + GAIN[seed, fold]))
    ]
    row = quality_rows(records)[0]
    assert (row["method"], row["precision"], row["pairs"]) == ("plain", "bf16", 6)
    assert row["full"] == pytest.approx(100 * 3.5 / 6)
    assert row["difference"] == pytest.approx(2.0)  # folds: 2, 0 and 4 points
    error = 2.0 * (1 / 3 + SHARE) ** 0.5
    assert row["half_width"] == pytest.approx(stats.t.ppf(0.975, 2) * error)
    assert row["largest"] == pytest.approx(5.0)


def test_seeds_of_one_fold_say_nothing_about_folds(tmp_path):
    records = [record(tmp_path, seed=s, precision=p) for s in (0, 1) for p in ("32", "bf16")]
    assert quality_rows(records) == []


def test_several_settings_of_a_method_are_refused(tmp_path):
    records = [
        record(tmp_path, fold=fold, precision=precision, method_config={"width": width})
        for fold in (0, 1)
        for precision in ("32", "bf16")
        for width in (5, 6)
    ]
    with pytest.raises(DataError, match="toy plain bf16 was run with several settings"):
        quality_rows(records)
