"""A sensitivity grid as a tidy table, and as words for the screen and the page."""

from __future__ import annotations

import pandas as pd

from mil_bench.ablation.metrics import by_level, title
from mil_bench.ablation.tables import numbers, provenance
from mil_bench.ablation.text import difference_text, mean_text, spread_notes
from mil_bench.ablation.vary import Values, Varied
from mil_bench.boards.sheet import Sheet
from mil_bench.evaluation.metrics import Score

DEFAULT = "default"


def vary_table(varied: Varied) -> pd.DataFrame:
    """One row per combination and score; ``difference`` is to the default, where that is there."""
    return pd.DataFrame(
        [
            {axis.key: value for axis, value in zip(varied.axes, values, strict=True)}
            | {DEFAULT: "yes" if values == varied.default else "no"}
            | numbers(metric, varied.estimate(values, metric))
            | provenance(row)
            for values, row in varied.cells.items()
            for metric in varied.shown
        ]
    )


def vary_sheets(varied: Varied, narrow: bool = False) -> list[Sheet]:
    """A table per level, a row per combination; the difference column only with a default.

    ``narrow`` leaves out deviations, for terminals.
    """
    sheets = []
    for level, metrics in by_level(varied.shown).items():
        delta = ["Δ [95 %]"] if varied.default else []
        heads = [head for m in metrics for head in (title(m), *delta)]
        rows = tuple(_line(varied, values, metrics, narrow) for values in varied.cells)
        first, *others = (axis.key for axis in varied.axes)
        sheets.append(Sheet(f"{level} level", (first, *others, *heads, "", "runs"), rows))
    return sheets


def vary_notes(varied: Varied) -> list[str]:
    """Computed caveats: lacking runs, a default that is not in the grid, one seed, one fold."""
    rows = list(varied.cells.values())
    told = [f"{row.variant}: {row.status}" for row in rows if not row.complete]
    if varied.default is None:
        told.append(
            f"the default ({varied.default_words}) is not among the values, so no difference to "
            "it is given"
        )
    told += spread_notes(rows[0])
    told.append("test scores: a value chosen from them is tuned on the test set; choose on "
                "validation with `mil-bench tune`")  # fmt: skip
    return told


def _line(varied: Varied, values: Values, metrics: list[Score], narrow: bool) -> tuple[str, ...]:
    row, texts = varied.cells[values], []
    for metric in metrics:
        found = varied.estimate(values, metric)
        texts.append(mean_text(found.spread, row, metric, narrow))
        if varied.default:
            texts.append(difference_text(found.difference, metric))
    mark = DEFAULT if values == varied.default else ""
    return (*values, *texts, mark, f"{len(row.done)}/{len(row.asked)}")
