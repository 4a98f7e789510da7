"""Scores of all rows as numbers of a table: value, interval, spread, mark, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow, Spread
from mil_bench.boards.tables.table import NAN, Cell, Mark, Number
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.formulas import effective_size, wilson
from mil_bench.evaluation.inference.ranks import bootstrap_tiers
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions, SeedFold

_SAME = 1e-9


def measured(
    analysis: Analysis, score: Score, has: Callable[[BoardRow], bool] = lambda _: True
) -> dict[str, Cell]:
    """Return, by row label, a number; ``None`` without such a score, a result, or ``has``."""
    rows = {row.label: row for row in analysis.board.rows if has(row)}
    marks = marks_of(analysis, score, rows)
    return {
        row.label: _number(row, score, analysis, marks.get(row.label, ""))
        if row.label in rows
        else None
        for row in analysis.board.rows
    }


def marks_of(analysis: Analysis, score: Score, labels: Collection[str]) -> Mapping[str, Mark]:
    """Mark the best comparable row of ``labels``, and those not significantly different from it.

    Rows of the same value are best together. Nothing is marked where there is nothing to compare.
    """
    better = score.facts.better
    scores = {k: v for k, v in analysis.of_score(score).items() if k in labels}
    if better == 0 or len(scores) < 2:  # no direction or no rival: nothing to mark
        return {}
    tiers = bootstrap_tiers(scores, better)
    first = tiers[0] if tiers else ()
    return {
        # Values that differ by rounding are equal.
        label: "best" if abs(scores[label].value - scores[first[0]].value) < _SAME else "tied"
        for label in first
    }


def spread_number(values: Mapping[tuple[int, int], float], row: BoardRow) -> Cell:
    """Return a number of the runs themselves, without an interval; ``None`` without any run."""
    if not values:
        return None
    spread = Spread.of(values)
    return Number(
        spread.mean, NAN, NAN, spread.sd_folds, spread.sd_seeds, note=_lacking(values, row)
    )


def _number(row: BoardRow, score: Score, analysis: Analysis, mark: Mark) -> Cell:
    values = row.values(score)
    if not values:
        return None
    spread = Spread.of(values)
    drawn = _drawn(row, score, analysis.scores.get(row.label, {}).get(score))
    note = "; ".join(filter(None, [_lacking(values, row), drawn.note]))
    return Number(spread.mean, drawn.low, drawn.high, spread.sd_folds, spread.sd_seeds, mark, note)


def _drawn(row: BoardRow, score: Score, drawn: Replicated | None) -> Number:
    """The interval, and a word where it is not that of the bootstrap over patients."""
    if drawn is None:
        return Number(NAN)
    # No spread: every draw gives the same value.
    if len(drawn.defined) and np.ptp(drawn.defined) == 0:
        low, high = boundary_interval(row.predictions, score, drawn.value)
        note = "Wilson interval" if low == low else "no spread over patients"
        return Number(drawn.value, low, high, note=note)
    return Number.of(drawn)


def _lacking(values: Mapping[tuple[int, int], float], row: BoardRow) -> str:
    undefined = sum(value != value for value in values.values())
    notes = [f"undefined in {undefined} of {len(values)} runs"] if undefined else []
    if not row.complete:
        notes.append(f"{row.coverage} runs")
    return ", ".join(notes)


def boundary_interval(
    cells: Mapping[SeedFold, Predictions], score: Score, share: float
) -> tuple[float, float]:
    """Return Wilson's interval for a rate of one class; ``nan`` for any other score.

    It rests on the slides that the rate is a share of, as few as their patients make them. Slides
    of several folds add up; of several seeds, the one with the fewest counts.
    """
    if not cells:  # of a site report
        return NAN, NAN
    by_seed: dict[int, list[NDArray[np.str_]]] = {}
    for (seed, _), p in cells.items():
        slides = _slides_of(p, score)
        if slides is None:
            return NAN, NAN  # the first cell decides: all are of one score
        by_seed.setdefault(seed, []).append(p.groups[slides])
    # The seed with the fewest counts: seeds repeat slides.
    return wilson(share, min(map(_size, by_seed.values())))


def _size(groups: Iterable[NDArray[np.str_]]) -> float:
    return effective_size(np.concatenate(list(groups)))


def _slides_of(p: Predictions, score: Score) -> NDArray[np.bool_] | None:
    """The slides that a rate is a share of."""
    if not score.name or score.source not in ("summed", "direct"):
        return None
    k = p.taxonomy.classes[score.level].index(score.name)
    truth = p.truth(score.level) == k
    decided = p.probabilities(score.level, score.source).argmax(1) == k
    slides = {"true": truth, "other": ~truth, "decided": decided, "undecided": ~decided}
    return slides.get(score.facts.share_of)
