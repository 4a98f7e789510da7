"""A board with the scores of every row under the same draws of patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mil_bench.base.errors import DataError
from mil_bench.boards.board import Board, BoardRow
from mil_bench.evaluation.inference.bootstrap import check_pairable, replicate
from mil_bench.evaluation.inference.draws import Replicated, ScoreReplicates
from mil_bench.evaluation.inference.formulas import detectable_difference
from mil_bench.evaluation.inference.ranks import (
    Better,
    Rank,
    bootstrap_tiers,
    rank_agreement,
    rank_intervals,
)
from mil_bench.evaluation.inference.resampling import REPLICATES, Resampling
from mil_bench.evaluation.inference.transfer import ScoreTransfer, transfer
from mil_bench.evaluation.metrics import Score


@dataclass(frozen=True)
class Analysis:
    """Scores of every row under the same draws of patients.

    ``scores``    row label -> score -> replicates; rows without a finished run are not in it, and
                  no row is where ``refusal`` says why nothing can be drawn
    ``unpaired``  row label -> why it cannot be compared with the others; the rest can
    ``twins``     scores of ``board.twins``, in their order
    ``resampling``  the draws of patients; ``None`` where there is a refusal
    """

    board: Board
    scores: Mapping[str, Mapping[Score, ScoreReplicates]]
    unpaired: Mapping[str, str]
    refusal: str = ""
    twins: tuple[Mapping[Score, ScoreReplicates], ...] = ()
    resampling: Resampling | None = None

    @classmethod
    def of(cls, board: Board, replicates: int = REPLICATES, seed: int = 0) -> Analysis:
        """Draw the patients of a board. The draws depend on the patients and ``seed`` only.

        The board of a site report comes with its draws.
        """
        if board.site is not None:
            return cls(board, board.site.drawn, {})
        rows = {row.label: row.predictions for row in board.rows if row.predictions}
        unpaired = _unpaired(board)
        predictions = [p for runs in rows.values() for p in runs.values()]
        if not predictions:
            return cls(board, {}, unpaired, "no run is finished")
        try:
            resampling = Resampling.of(predictions, replicates, seed)
        except DataError as error:
            return cls(board, {}, unpaired, str(error))
        # Every row under the same draws: differences are paired.
        scores = {label: replicate(runs, resampling) for label, runs in rows.items()}
        twins = tuple(replicate(twin.predictions, resampling) for _, twin in board.twins)
        return cls(board, scores, unpaired, "", twins, resampling)

    @cached_property
    def paired(self) -> tuple[str, ...]:
        """Labels of the rows that compete with each other, in order of the board."""
        return tuple(row.label for row in self.comparable if not row.control)

    @cached_property
    def comparable(self) -> tuple[BoardRow, ...]:
        """Rows that predict the same slides in all cells, controls among them."""
        rows = self.board.rows  # controls are compared, but hold no rank
        return tuple(r for r in rows if r.label in self.scores and r.label not in self.unpaired)

    @cached_property
    def transfers(self) -> dict[str, dict[Score, ScoreTransfer]]:
        """Scores of transferred rows beside those of the same models on their own test slides."""
        if self.resampling is None:
            return {}
        replicates = self.resampling.weights.shape[1] - 1
        rows = {row.label: row.predictions for row in self.board.rows}
        moved = {}
        for label, own in self.board.own_tests.items():
            try:
                moved[label] = transfer(own, rows[label], replicates)
            except DataError:  # a test set of one patient
                continue
        return moved

    def of_score(self, score: Score) -> dict[str, ScoreReplicates]:
        """Return, by label, the replicates of comparable rows that have the score."""
        return {
            label: self.scores[label][score] for label in self.paired if score in self.scores[label]
        }

    def difference(self, a: str, b: str, score: Score) -> Replicated:
        """Return ``a - b``, paired over patients; ``KeyError`` unless both are comparable."""
        scores = self.of_score(score)
        return scores[a] - scores[b]

    def ranks(self, score: Score, better: Better) -> dict[str, Rank]:
        """Return, by label, the rank of comparable rows and its interval."""
        return rank_intervals(self.of_score(score), better)

    def tiers(self, score: Score, better: Better) -> list[tuple[str, ...]]:
        """Group rows that are not significantly different from the leader of their group."""
        return bootstrap_tiers(self.of_score(score), better)

    def agreement(self, score: Score, better: Better) -> float:
        """Return the mean Kendall tau of the ranking and those of the draws of patients."""
        return rank_agreement(self.of_score(score), better)

    def detectable(self, score: Score) -> float:
        """Return the smallest difference this board would detect: the median over pairs."""
        scores = list(self.of_score(score).values())
        errors = [(a - b).error for i, a in enumerate(scores) for b in scores[:i]]
        differences = [detectable_difference(e) for e in errors if e == e]  # e == e: not nan
        return float(np.median(differences)) if differences else float("nan")


def _unpaired(board: Board) -> dict[str, str]:
    """Rows that lack cells, or predict other slides than the first complete row."""
    reasons = {}
    first: BoardRow | None = None
    for row in board.rows:
        if not row.complete:
            reasons[row.label] = f"has {row.coverage} cells"
        elif first is None:
            first = row
        else:
            try:
                # The first complete row is the reference.
                check_pairable({r.label: r.predictions for r in (first, row)})
            except DataError as error:
                reasons[row.label] = str(error)
    return reasons


def with_interval(value: float, low: float, high: float, unit: str = "") -> str:
    """Return ``8.4 points (95 % CI 4.7 to 12.1)``: a difference of fractions, times 100."""
    number = f"{100 * value:z.1f}{f' {unit}' if unit else ''}"
    if low != low:
        return number
    return f"{number} (95 % CI {100 * low:z.1f} to {100 * high:z.1f})"
