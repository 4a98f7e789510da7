"""What the runs of one row say about one score: mean, spread, and difference to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mil_bench.boards.board import BoardRow, Spread
from mil_bench.boards.collect import RunRecord, read_record
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.inference.retraining import PairedDifference, fold_differences
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.directory import RunDirectory


@dataclass(frozen=True)
class Estimate:
    """A score of one row. ``difference`` has ``n`` = 0 where there is nothing to compare with."""

    spread: Spread
    difference: PairedDifference


def estimate(row: BoardRow, reference: BoardRow, metric: Score) -> Estimate:
    """Mean and spread of the row's finished cells, and its difference to ``reference``.

    A difference needs every asked cell of both rows with a defined score: over fewer folds it
    would be that of another experiment.
    """
    values, others = (r.values(metric) for r in (row, reference))
    whole = (
        row is not reference
        and set(row.asked) == set(values) == set(others)
        and not np.isnan([*values.values(), *others.values()]).any()
    )
    differences = fold_differences(values, others) if whole else ()
    return Estimate(Spread.of(values), PairedDifference.of(differences, _test_share(row)))


def read_row(runs: Path, method: str, name: str, specs: Sequence[RunSpec]) -> BoardRow:
    """The runs of ``specs`` as they lie under ``runs``, done or not."""
    found = {(spec.seed, spec.fold): _record(runs, spec) for spec in specs}
    records = {cell: record for cell, record in found.items() if record is not None}
    return BoardRow(method, name, specs[0].key, records, tuple(found))


def _record(runs: Path, spec: RunSpec) -> RunRecord | None:
    path = RunDirectory.of(runs, spec).path
    return read_record(path) if path.exists() else None


def _test_share(row: BoardRow) -> float:
    """Test slides per training slide, mean over the finished runs."""
    shares = [r.result.test_share for r in row.done.values() if r.result is not None]
    return float(np.mean(shares)) if shares else float("nan")
