"""A component study as a tidy table: one row per variant and score, fractions as computed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mil_bench.ablation.estimate import Estimate
from mil_bench.ablation.study import Study, StudyRow
from mil_bench.boards.board import BoardRow
from mil_bench.evaluation.metrics import Score


def study_table(study: Study) -> pd.DataFrame:
    """One row per variant and score.

    A column per component says yes or no, empty where it has no meaning. ``difference`` is to the
    full method, ``low`` and ``high`` its 95 % interval, ``folds`` how many it rests on. ``mean`` is
    over ``done`` of ``asked`` runs.
    """
    return pd.DataFrame(
        [
            _identity(study, row)
            | numbers(metric, study.estimate(row, metric))
            | provenance(row.cells)
            for row in study.rows
            for metrics in study.levels.values()
            for metric in metrics
        ]
    )


def numbers(metric: Score, found: Estimate) -> dict[str, Any]:
    """Columns of one score."""
    spread, difference = found.spread, found.difference
    return {
        "metric": str(metric),
        "mean": spread.mean,
        "sd_folds": spread.sd_folds,
        "sd_seeds": spread.sd_seeds,
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
        "folds": difference.n,
    }


def provenance(cells: BoardRow) -> dict[str, Any]:
    """Columns that say which runs the numbers rest on, and what became of the others."""
    return {
        "done": len(cells.done),
        "asked": len(cells.asked),
        "status": cells.status,
        "run_keys": " ".join(record.key for record in cells.done.values()),
    }


def _identity(study: Study, row: StudyRow) -> dict[str, Any]:
    variant, marks = row.variant, row.variant.components
    has = {True: "yes", False: "no"}
    return {
        "variant": variant.name,
        "group": str(variant.group),
        "method": variant.method,
        **{name: "" if marks is None else has[marks[name]] for name in study.declared.components},
        "overrides": ", ".join(f"{k}={v}" for k, v in variant.overrides.items()),
    }
