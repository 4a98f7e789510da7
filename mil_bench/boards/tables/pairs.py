"""Every two methods, score by score: is the difference one of the models, or of the methods?

Two questions, each with its own test. **Patients**: would these trained models keep their order on
new patients? The paired bootstrap. **Refits**: would retrained methods keep it? Folds with the
correction of Nadeau and Bengio, because their training sets overlap. A method is called better only
where both tests reject.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, BoardRow
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import origin
from mil_bench.boards.tables.scores import OF_HEADS
from mil_bench.boards.tables.table import Cell, Number, Row, Table
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.formulas import detectable_difference, holm
from mil_bench.evaluation.inference.ranks import ALPHA
from mil_bench.evaluation.inference.retraining import (
    Equivalence,
    PairedDifference,
    equivalence,
    fold_differences,
    probability_better,
)
from mil_bench.evaluation.metrics import Score, in_order
from mil_bench.evaluation.predictions import SeedFold
from mil_bench.evaluation.sums import mean_defined

ALL_PAIRS = 40
"""With more comparable rows than this, methods are compared with the leader alone."""
KEYS = ("method", "other", "score")
DIFFERENCE = (
    "difference", "p", "p_holm", "superiority", "refits", "p_refits", "p_both", "won", "rope_worse",
    "rope_equal", "rope_better", "detectable", "decision", "coverage", "folds", "seeds", "split",
    "split_digest", "leaky", "run_keys", "other_run_keys",
)  # fmt: skip
"""What is shown of one pair, and of the runs behind it."""
SHOWN = (*KEYS, "difference", "p_holm", "refits", "p_refits", "decision")
AS_TRAINED = (
    "'as trained': the difference between these trained models is significant over patients, but "
    "retraining over folds does not confirm it"
)
NOTE = (
    f"Method minus other. {AS_TRAINED}. Holm's correction is over all pairs of a score; tiers and "
    "verdict compare with the leader only, which are fewer tests"
)
_REPEATED = ("fine_error", "hp", "hr", "full_path_accuracy", "crm_mean_lca_distance")
"""Scores of the tree that mostly repeat others, or are of a decision that is there as a control."""

Decision = Literal["better", "better as trained", "worse", "worse as trained", "not separable", ""]


def pairs_table(analysis: Analysis) -> Table | None:
    """Return a row per score and pair, ``None`` with fewer than two comparable rows.

    All scores of leaves, and of upper levels and the tree those that boards are read by.
    """
    pairs = all_pairs(analysis)
    if not pairs:
        return None
    rows = [
        _row(analysis, pair)
        for score in _scores(analysis)
        for pair in compare_pairs(analysis, score, _fitting(analysis, score, pairs))
    ]
    every = columns(*KEYS, *DIFFERENCE, table="pairs")
    return Table("pairs", "Pairs", every, tuple(rows), KEYS, SHOWN, NOTE, (RANKED,))


def all_pairs(analysis: Analysis) -> list[tuple[str, str]]:
    """List every two comparable rows, the higher first; on large boards the leader and each other.

    Large boards have more than 40 comparable rows.
    """
    labels = analysis.paired
    if len(labels) > ALL_PAIRS:
        return [(labels[0], other) for other in labels[1:]]
    return list(itertools.combinations(labels, 2))


def _scores(analysis: Analysis) -> list[Score]:
    """Scores of all slides that at least two comparable rows have, the ranked one first."""
    scores = in_order(
        score
        for label in analysis.paired
        for score in analysis.scores[label]
        if not score.name and score.on_boards and _is_read(score)
    )
    return sorted(scores, key=lambda score: score != RANKED)  # stable: the others keep their order


def _is_read(score: Score) -> bool:
    return score.source not in ("path", "crm") and score.metric not in _REPEATED


def _fitting(
    analysis: Analysis, score: Score, pairs: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The pairs that a score is compared for: consistency of heads only where both have heads."""
    if score not in OF_HEADS:
        return pairs
    headed = {row.label for row in analysis.board.rows if row.has_heads}
    return [pair for pair in pairs if headed.issuperset(pair)]


def _row(analysis: Analysis, pair: Pair) -> Row:
    who: dict[str, Cell] = {"method": pair.a, "other": pair.b, "score": str(pair.score)}
    return Row(pair.a, who | difference_cells(analysis, pair), pair.score)


def difference_cells(analysis: Analysis, pair: Pair) -> dict[str, Cell]:
    """Return the cells of :data:`DIFFERENCE`; runs are the first's, ``other_run_keys`` apart."""
    d, r, rope = pair.patients, pair.refits, pair.rope
    first, second = (origin(analysis.board, row) for row in pair.rows)
    return {
        **{name: first[name] for name in ("seeds", "split", "split_digest", "leaky", "run_keys")},
        "other_run_keys": second["run_keys"],
        "coverage": pair.rows[0].coverage,
        "difference": Number.of(d),
        "p": Number(d.p),
        "p_holm": Number(pair.p_holm),
        "superiority": Number(pair.superiority),
        "refits": Number(r.mean, r.low, r.high) if r.n > 1 else None,
        "p_refits": Number(r.p) if r.n > 1 else None,
        "p_both": Number(pair.p_both) if r.n > 1 else None,
        "won": Number(pair.won),
        "rope_worse": Number(rope.below) if rope and r.n > 1 else None,
        "rope_equal": Number(rope.within) if rope and r.n > 1 else None,
        "rope_better": Number(rope.above) if rope and r.n > 1 else None,
        "detectable": Number(detectable_difference(d.error)),
        "folds": Number(r.n),
        "decision": pair.decision,
    }


def compare_pairs(analysis: Analysis, score: Score, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
    """Compare the ``pairs`` that both have ``score``, corrected for being so many."""
    drawn = analysis.of_score(score)
    rows = {row.label: row for row in analysis.board.rows}
    sides = {label: Side.of(rows[label], score, replicates) for label, replicates in drawn.items()}
    return corrected(
        [pair_of(score, sides[a], sides[b]) for a, b in pairs if a in sides and b in sides]
    )


def pair_of(score: Score, a: Side, b: Side) -> Pair:
    """Compare two sides, each of a row and a score; ``score`` says what is compared."""
    # A fold that only one of them has compares nothing.
    cells = [cell for cell in a.values if _defined(a.values, cell) and _defined(b.values, cell)]
    first, second = ({c: side.values[c] for c in cells} for side in (a, b))
    better = score.facts.better
    won = probability_better(  # signed, so that larger is better
        [better * v for v in first.values()], [better * v for v in second.values()]
    )
    share = mean_defined([a.test_share, b.test_share])
    folds = fold_differences(first, second)
    # Sum of signs: n only if all are alike and none is 0.
    refits, agree = PairedDifference.of(folds, share), abs(np.sign(folds).sum()) == len(folds)
    return Pair((a.row, b.row), score, a.drawn - b.drawn, refits, bool(agree), won.value)


def _defined(values: Mapping[SeedFold, float], cell: SeedFold) -> bool:
    return cell in values and values[cell] == values[cell]


def corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the same pairs with the p of Holm's correction over all of them."""
    # Holm of the larger p: both tests must reject.
    patients = holm([pair.patients.p for pair in pairs])
    both = holm([pair.p_worst for pair in pairs])
    return [
        replace(pair, p_holm=float(p_patients), p_both=float(p_both))
        for pair, p_patients, p_both in zip(pairs, patients, both, strict=True)
    ]


@dataclass(frozen=True)
class Side:
    """One score of one row: its replicates, its values by cell, test slides per training slide."""

    row: BoardRow
    drawn: Replicated
    values: Mapping[SeedFold, float]
    test_share: float

    @property
    def label(self) -> str:
        """That of the row."""
        return self.row.label

    @classmethod
    def of(cls, row: BoardRow, score: Score, drawn: Replicated) -> Side:
        """Take the values of a row; ``drawn`` are the replicates of ``score``."""
        results = [r.result for r in row.done.values() if r.result is not None]
        share = mean_defined([result.test_share for result in results])
        return cls(row, drawn, row.values(score), share)


@dataclass(frozen=True)
class Pair:
    """``a - b`` of one score, where ``a`` and ``b`` are labels of ``rows``.

    ``patients``  over patients, of the trained models
    ``refits``    over folds, of the methods; its error is ``nan`` with one fold
    ``folds_agree``  whether the difference has one sign in all folds
    ``won``       share of runs (same seed and fold) in which ``a`` is better, ties a half
    ``p_holm``    p over patients after Holm's correction over all requested pairs
    ``p_both``    the same of the larger p of both tests; ``nan`` with one fold
    """

    rows: tuple[BoardRow, BoardRow]
    score: Score
    patients: Replicated
    refits: PairedDifference
    folds_agree: bool
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
        return 1 if self.score.facts.better == 1 else -1

    @property
    def p_worst(self) -> float:
        """The larger p: both tests reject where it does (Berger 1982)."""
        # np.maximum keeps a nan; max does not.
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
        if not self.score.facts.percent:
            return None
        e = equivalence(self.refits)
        return e if self.better == 1 else Equivalence(e.above, e.within, e.below)

    @property
    def decision(self) -> Decision:
        """What may be said of ``a``; empty where nothing could be tested."""
        if self.p_holm != self.p_holm:  # p != p: undefined
            return ""
        if self.p_holm > ALPHA:
            return "not separable"
        ahead = self.better * self.patients.value > 0
        if self.p_both <= ALPHA:
            return "better" if ahead else "worse"
        return "better as trained" if ahead else "worse as trained"
