"""Two methods on the same slides: is the difference one of the models, or of the methods?

Two questions, each with its own test. **Patients**: would these trained models keep their order on
new patients? The paired bootstrap. **Refits**: would the methods keep it when trained anew? Folds
with the correction of Nadeau and Bengio, because their training sets overlap. A method is called
better only where both say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow, Cell
from mil_bench.boards.tables.measure import value_of
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.formulas import holm
from mil_bench.evaluation.inference.ranks import ALPHA
from mil_bench.evaluation.inference.retraining import (
    Equivalence,
    PairedDifference,
    equivalence,
    fold_differences,
    probability_better,
)
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics import facts
from mil_bench.evaluation.sums import mean_defined

ALL_PAIRS = 40
"""With more comparable rows than this, methods are compared with the leader alone."""

Decision = Literal["better", "better as trained", "worse", "worse as trained", "not separable", ""]


@dataclass(frozen=True)
class Side:
    """One score of one row: its replicates, its values by cell, test slides per training slide."""

    row: BoardRow
    drawn: Replicated
    values: Mapping[Cell, float]
    test_share: float

    @property
    def label(self) -> str:
        """That of the row."""
        return self.row.label

    @classmethod
    def of(cls, row: BoardRow, score: Score, drawn: Replicated) -> Side:
        """From a row; ``drawn`` are the replicates of ``score``."""
        results = [r.result for r in row.done.values() if r.result is not None]
        share = mean_defined([result.test_share for result in results])
        return cls(row, drawn, row.values(value_of(score)), share)


@dataclass(frozen=True)
class Pair:
    """``a - b`` of one score, where ``a`` and ``b`` are labels of ``rows``.

    ``patients``  over patients, of the trained models
    ``refits``    over folds, of the methods; its error is ``nan`` with one fold
    ``won``       share of runs (same seed and fold) in which ``a`` is better, ties a half
    ``p_holm``    p over patients after Holm's correction over all pairs that were asked for
    ``p_both``    the same of the larger p of both tests; ``nan`` with one fold
    """

    rows: tuple[BoardRow, BoardRow]
    score: Score
    patients: Replicated
    refits: PairedDifference
    won: float
    p_holm: float = float("nan")
    p_both: float = float("nan")

    @property
    def a(self) -> str:
        """Label of the first row."""
        return self.rows[0].label

    @property
    def b(self) -> str:
        """Label of the second row."""
        return self.rows[1].label

    @property
    def better(self) -> Literal[1, -1]:
        """Direction of the score."""
        return 1 if facts(self.score.metric).better == 1 else -1

    @property
    def p_worst(self) -> float:
        """The larger p: both tests reject where it does (Berger 1982)."""
        return float(np.maximum(self.patients.p, self.refits.p))

    @property
    def superiority(self) -> float:
        """P(a better than b) over patients."""
        share = self.patients.superiority
        return share if self.better == 1 else 1 - share

    @property
    def rope(self) -> Equivalence | None:
        """Over refits: a worse, equal within 1 point, better; ``None`` where a point means nothing.

        ``below`` is a worse, whatever the direction of the score.
        """
        if not facts(self.score.metric).percent:
            return None
        found = equivalence(self.refits)
        return found if self.better == 1 else Equivalence(found.above, found.within, found.below)

    @property
    def decision(self) -> Decision:
        """What may be said of ``a``; empty where nothing could be tested."""
        if self.p_holm != self.p_holm:
            return ""
        if self.p_holm > ALPHA:
            return "not separable"
        ahead = self.better * self.patients.value > 0
        if self.p_both <= ALPHA:
            return "better" if ahead else "worse"
        return "better as trained" if ahead else "worse as trained"


def all_pairs(analysis: Analysis) -> list[tuple[str, str]]:
    """Every two comparable rows, the higher first; on large boards the leader and each other."""
    labels = analysis.paired
    if len(labels) > ALL_PAIRS:
        return [(labels[0], other) for other in labels[1:]]
    return list(itertools.combinations(labels, 2))


def compare_pairs(
    analysis: Analysis, score: Score, wanted: Sequence[tuple[str, str]]
) -> list[Pair]:
    """The ``wanted`` pairs that both have ``score``, corrected for being so many."""
    known = analysis.of_score(score)
    rows = {row.label: row for row in analysis.board.rows}
    sides = {label: Side.of(rows[label], score, drawn) for label, drawn in known.items()}
    return corrected(
        [pair_of(score, sides[a], sides[b]) for a, b in wanted if a in sides and b in sides]
    )


def pair_of(score: Score, a: Side, b: Side) -> Pair:
    """Two sides, each of a row and a score of its own; ``score`` says what is compared."""
    cells = [cell for cell in a.values if _known(a.values, cell) and _known(b.values, cell)]
    one, two = ({c: side.values[c] for c in cells} for side in (a, b))
    better = facts(score.metric).better
    won = probability_better([better * v for v in one.values()], [better * v for v in two.values()])
    share = mean_defined([a.test_share, b.test_share])
    refits = PairedDifference.of(fold_differences(one, two), share)
    return Pair((a.row, b.row), score, a.drawn - b.drawn, refits, won.value)


def corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """The same pairs with the p of Holm's correction over all of them."""
    single = holm([pair.patients.p for pair in pairs])
    both = holm([pair.p_worst for pair in pairs])
    return [
        replace(pair, p_holm=float(one), p_both=float(two))
        for pair, one, two in zip(pairs, single, both, strict=True)
    ]


def _known(values: Mapping[Cell, float], cell: Cell) -> bool:
    return cell in values and values[cell] == values[cell]
