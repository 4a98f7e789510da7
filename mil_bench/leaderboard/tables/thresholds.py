"""Sensitivity and specificity of every class at thresholds that were chosen on validation."""

from __future__ import annotations

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.reliability import resampling_of
from mil_bench.leaderboard.tables.calibration import places
from mil_bench.leaderboard.tables.column import score_column
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.identity import source_columns, sources
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table
from mil_bench.leaderboard.thresholds import RULES, Operating, operating_point

_MOST = 30
"""Rows that a printed page bears."""
_KEYS = ("method", "level", "source", "class", "rule")
_SHOWN = ("threshold", "sensitivity", "specificity")
_NOTE = (
    "Thresholds are chosen on the validation slides of each run (Youden: largest sensitivity + "
    "specificity) and tried on its test slides, where a target of 95 % sensitivity need not hold"
)


def thresholds_table(analysis: Analysis) -> Table | None:
    """A row per method, level, source, class and rule; ``None`` without stored validation."""
    tree = analysis.board.taxonomy
    if analysis.refusal or tree is None:
        return None
    draws, known = resampling_of(analysis), sources(analysis.board)
    rows = []
    for row, level, source in places(analysis):
        for k, name in enumerate(tree.classes[level]):
            for rule, choose in RULES.items():
                found = operating_point(row, level, source, k, choose, draws)
                who: dict[str, Cell] = dict(
                    zip(_KEYS, (row.label, level, source, name, rule), strict=True)
                )
                if found is not None:
                    rows.append(Row(row.label, known[row.label] | who | _numbers(found)))
    if not rows:
        return None
    rates = (score_column("sensitivity", ""), score_column("specificity", ""))
    every = (*columns(*_KEYS, "threshold"), *rates, *source_columns(analysis.board))
    return Table(
        "thresholds",
        "Thresholds",
        every,
        tuple(rows),
        _KEYS,
        _SHOWN,
        _NOTE,
        printed=len(rows) <= _MOST,
    )


def _numbers(found: Operating) -> dict[str, Cell]:
    told = f"no threshold in {found.undefined} runs" if found.undefined else ""
    return {
        "threshold": Number(found.threshold, note=told),
        "sensitivity": Number.of(found.sensitivity),
        "specificity": Number.of(found.specificity),
    }
