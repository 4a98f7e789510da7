"""Differences between precisions: which runs belong together, and the interval."""

from __future__ import annotations

import numpy as np
import pytest
from run_specs import SPEC
from scipy import stats

from benchmarks.quality import corrected_interval, pairs
from mil_bench.leaderboard.collect import RunRecord


def record(tmp_path, status="done", **changes):
    return RunRecord(tmp_path, status, spec=SPEC.model_copy(update=changes))


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


def test_without_shared_training_bags_the_interval_is_that_of_student():
    differences = np.array([0.4, -1.0, 2.0, 0.1, 0.6])
    mean, half = corrected_interval(differences, 0.0)
    low, high = stats.t.interval(0.95, 4, differences.mean(), stats.sem(differences))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_shared_training_bags_widen_it_as_nadeau_and_bengio_say():
    differences = np.array([1.0, 2.0, 3.0])
    _, half = corrected_interval(differences, 1 / 3)
    assert half == pytest.approx(stats.t.ppf(0.975, 2) * 1.0 * np.sqrt(1 / 3 + 1 / 3))
