"""Stored predictions, from which every number on a leaderboard is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.groups import patients_known, slide_group
from mil_bench.evaluation.foreign.table import ForeignTable, read_foreign

SeedFold = tuple[int, int]
"""Which run of a method: its seed and its fold."""
Source = Literal["summed", "direct"]
"""How a level is decided: from leaf probabilities or by its own head."""


@dataclass(frozen=True)
class Predictions:
    """Probabilities of ``n`` slides.

    ``labels``  ``(n,)`` int64 leaf index
    ``heads``   level name -> ``(n, K_level)`` probabilities, rows sum to 1. ``leaf`` is always
                there; other levels only when the method has a direct head for them.
    ``groups``  ``(n,)`` patient (group) of each slide
    ``ranked``  false where only decisions are known: then ``heads`` hold 0 and 1, and scores of
                probabilities do not exist
    """

    taxonomy: Taxonomy
    slide_ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: NDArray[np.int64]
    heads: Mapping[str, NDArray[np.float64]]
    ranked: bool = True

    @classmethod
    def read(
        cls,
        path: str | Path,
        tree: Taxonomy | None = None,
        *,
        of_set: str = "test",
        logits: bool = False,
    ) -> Predictions:
        """Read the predictions of one run from a table of any tool; see ``docs/score.md``.

        The options are those of :meth:`read_runs`, which reads several folds or seeds. Raises
        ``DataError`` for a table that has them.
        """
        runs = cls.read_runs(path, tree, of_set=of_set, logits=logits)
        if len(runs) > 1:
            cells = ", ".join(f"seed {seed} fold {fold}" for seed, fold in list(runs)[:3])
            raise DataError(
                f"{path} has predictions of {len(runs)} runs ({cells}...); read them with "
                "Predictions.read_runs."
            )
        return next(iter(runs.values()))

    @classmethod
    def read_runs(
        cls,
        path: str | Path,
        tree: Taxonomy | None = None,
        *,
        of_set: str = "test",
        logits: bool = False,
    ) -> dict[SeedFold, Predictions]:
        """Read predictions by ``(seed, fold)`` from a table of any tool, with its labels.

        ``tree`` orders the classes; without it they are those of the run folder or of the file.
        ``of_set`` chooses a set where the table has several, and ``logits`` says that the numbers
        are logits. Raises ``DataError`` for a table without labels, and for one that cannot be
        read.
        """
        table = read_foreign(Path(path), tree, logits=logits)
        if table.labels is None:
            raise DataError(f"{path} has no column 'label'; add the true class of every slide.")
        sets = cls.of_table(table, table.labels, table.patients)
        if of_set not in sets:
            raise DataError(f"{path} has no {of_set} set; it has {', '.join(sets)}.")
        return sets[of_set]

    @classmethod
    def of_table(
        cls, table: ForeignTable, labels: Sequence[str], patients: Sequence[str] | None
    ) -> dict[str, dict[SeedFold, Predictions]]:
        """Return the predictions of a table by set, then by ``(seed, fold)``, from 0.

        ``labels`` (leaves) and ``patients`` have one entry per row; a slide of unknown patient
        stands for itself. Raises ``DataError`` for a slide that is there twice.
        """
        n = len(table.slides)
        runs = list(zip(table.sets, table.seeds or [0] * n, table.folds or [0] * n, strict=True))
        _check_once(table, runs)
        known = patients or [""] * n
        groups = [p or slide_group(s) for p, s in zip(known, table.slides, strict=True)]
        truth = np.array([table.tree.index(label) for label in labels], dtype=np.int64)
        whole = cls(
            table.tree, np.array(table.slides), np.array(groups), truth, table.heads, table.ranked
        )
        rows: dict[tuple[str, int, int], list[int]] = {}
        for i, run in enumerate(runs):
            rows.setdefault(run, []).append(i)
        sets: dict[str, dict[SeedFold, Predictions]] = {}
        for (name, seed, fold), index in rows.items():
            sets.setdefault(name, {})[seed, fold] = whole.cut(index)
        return {name: dict(sorted(of_set.items())) for name, of_set in sets.items()}

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def patients_known(self) -> bool:
        """Return whether any slide has a patient (group) other than itself."""
        return patients_known(self.slide_ids.tolist(), self.groups.tolist())

    def leaves_alone(self) -> Predictions:
        """Return the same without the heads of upper levels."""
        return replace(self, heads={LEAF: self.heads[LEAF]})

    def summed(self, level: str) -> NDArray[np.float64]:
        """Sum the leaf probabilities under each class of ``level``: ``(n, K_level)``."""
        return self.heads[LEAF] @ self.taxonomy.membership(level)  # (n, K_leaf) (K_leaf, K_level)

    def sources(self, level: str) -> tuple[Source, ...]:
        """Return how ``level`` can be decided: leaves directly, upper levels summed and by head."""
        if level == LEAF:
            return ("direct",)
        return ("summed", "direct") if level in self.heads else ("summed",)

    def probabilities(self, level: str, source: str) -> NDArray[np.float64]:
        """Return the probabilities ``(n, K_level)`` of a level, ``summed`` or ``direct``.

        Raises ``DataError`` for a direct head that the predictions do not have.
        """
        if source == "summed":
            return self.summed(level)
        if level not in self.heads:
            raise DataError(
                f"these predictions have direct heads for {sorted(self.heads)}, not for {level!r}; "
                "score that level with source='summed'."
            )
        return self.heads[level]

    def cut(self, rows: NDArray[Any] | Sequence[int]) -> Predictions:
        """Return the slides at ``rows``, in that order."""
        heads = {level: probs[rows] for level, probs in self.heads.items()}
        return replace(
            self,
            slide_ids=self.slide_ids[rows],
            groups=self.groups[rows],
            labels=self.labels[rows],
            heads=heads,
        )

    def truth(self, level: str) -> NDArray[np.int64]:
        """Return the class index of the label at ``level``, ``(n,)``."""
        return self.taxonomy.ancestor_index(level)[self.labels]

    def column(self, level: str, index: int) -> str:
        """Return the CSV column of one probability: ``leaf:DCIS``, ``coarse:malignant``."""
        return f"{level}:{self.taxonomy.classes[level][index]}"


def _check_once(table: ForeignTable, runs: Sequence[tuple[str, int, int]]) -> None:
    seen: dict[tuple[tuple[str, int, int], str], int] = {}
    for run, slide, line in zip(runs, table.slides, table.lines, strict=True):
        first = seen.setdefault((run, slide), line)
        if first != line:
            raise DataError(
                f"{table.path} lists slide {slide!r} twice in the {run[0]} set (lines {first} and "
                f"{line}); expected one row per slide, fold and seed."
            )
