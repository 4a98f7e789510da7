"""Differences between precisions: which runs belong together."""

from __future__ import annotations

from run_specs import SPEC

from benchmarks.quality import pairs
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
