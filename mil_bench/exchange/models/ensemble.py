"""Predictions of one or several models for the same slides: their mean, and how they agree."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.atomic import write_text
from mil_bench.base.csv_safety import escape
from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class EnsemblePredictions:
    """Probabilities of every member for ``n`` slides.

    ``members`` are run keys. ``heads`` maps a level to ``(members, n, K_level)``; ``leaf`` is
    always there, upper levels where the models have a head for them. ``labels`` and ``groups``
    are leaf names and patients where they are known.
    """

    taxonomy: Taxonomy
    members: tuple[str, ...]
    slide_ids: tuple[str, ...]
    heads: Mapping[str, Probabilities]
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.slide_ids)

    @cached_property
    def mean(self) -> dict[str, Probabilities]:
        """Level -> mean probabilities ``(n, K_level)`` of the heads."""
        # The mean of one member is that member to the last bit.
        return {level: probs.mean(0) for level, probs in self.heads.items()}

    def level(self, level: str) -> Probabilities:
        """Return ``(n, K_level)`` of any level: of its head, else the sum of its leaves."""
        if level in self.mean:
            return self.mean[level]
        return self.mean[LEAF] @ self.taxonomy.membership(level)

    def decided(self, level: str = LEAF) -> list[str]:
        """Return the most probable class of every slide."""
        return [self.taxonomy.classes[level][k] for k in self.level(level).argmax(1)]

    @cached_property
    def probability(self) -> Probabilities:
        """``(n,)``: mean probability of the decided leaf."""
        highest: Probabilities = self.mean[LEAF].max(1)
        return highest

    @cached_property
    def agreement(self) -> Probabilities:
        """``(n,)``: share of members that decide for the same leaf; ``nan`` with one member."""
        if len(self.members) < 2:
            return np.full(len(self), np.nan)
        # (members, n) == (n,)
        share: Probabilities = (self.heads[LEAF].argmax(2) == self._leaf).mean(0)
        return share

    @cached_property
    def spread(self) -> Probabilities:
        """``(n,)``: standard deviation over members (n - 1) of the probability of that leaf."""
        if len(self.members) < 2:
            return np.full(len(self), np.nan)
        # (members, n): the decided leaf of the ensemble
        chosen = self.heads[LEAF][:, np.arange(len(self)), self._leaf]
        deviation: Probabilities = chosen.std(0, ddof=1)
        return deviation

    @property
    def least_sure(self) -> NDArray[np.int64]:
        """``(n,)``: slides from the least to the most certain: by agreement, then probability."""
        # Agreement first, since the last key of lexsort leads.
        order: NDArray[np.int64] = np.lexsort((self.probability, np.nan_to_num(self.agreement)))
        return order

    @cached_property
    def _leaf(self) -> NDArray[np.int64]:
        leaf: NDArray[np.int64] = self.mean[LEAF].argmax(1)
        return leaf

    def columns(self) -> dict[str, Sequence[object]]:
        """Return the columns of the predictions file; undefined numbers are ``nan``.

        ``class`` and its ``probability``, ``agreement`` and ``spread`` are of the leaf. Every upper
        level adds its class and probability, ``coarse`` and ``coarse_probability``. Then follow the
        probabilities of every head, ``leaf:DCIS``, as `mil-bench score` reads them.
        """
        columns: dict[str, Sequence[object]] = {"slide_id": self.slide_ids}
        if self.labels:
            columns |= {"group_id": self.groups, "label": self.labels}
        columns |= {
            "class": self.decided(),
            "probability": self.probability.tolist(),
            "agreement": self.agreement.tolist(),
            "spread": self.spread.tolist(),
        }
        for level in self.taxonomy.levels[:-1]:
            columns[level] = self.decided(level)
            columns[f"{level}_probability"] = self.level(level).max(1).tolist()
        for level in (LEAF, *(v for v in self.taxonomy.levels[:-1] if v in self.mean)):
            names = self.taxonomy.classes[level]
            for name, probs in zip(names, self.mean[level].T.tolist(), strict=True):
                columns[f"{level}:{name}"] = probs
        return columns


def write_ensemble(path: Path, predictions: EnsemblePredictions) -> None:
    """Write the predictions as CSV, exact to the last bit. Raises ``DataError``."""
    columns = predictions.columns()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(_rows(columns))
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}; free space or choose another --out."
        ) from None


def _rows(columns: Mapping[str, Sequence[object]]) -> Iterator[list[str]]:
    for row in zip(*columns.values(), strict=True):
        yield [_cell(value) for value in row]


def _cell(value: object) -> str:
    if isinstance(value, float):
        # repr: the shortest text that reads as the same number.
        return "" if value != value else repr(value)
    return escape(str(value))
