"""Cut slides into parts that keep groups whole and class shares alike.

A group (patient) may hold slides of several classes, so strata of patients do not exist; instead
groups are dealt one by one, those that matter most first, to the part that lacks their classes
most. This is the greedy of ``StratifiedGroupKFold`` with another cost: it also balances the number
of slides, and works when a class has fewer groups than there are parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.manifest import Manifest

Assignment = NDArray[np.int64]


@dataclass(frozen=True)
class Cohort:
    """Slides by group, sorted by id so that the order of the source does not matter.

    ``slides``  the slides of each of ``G`` groups
    ``counts``  ``(G, C)`` float64: slides of each class in each group
    ``classes`` the ``C`` class names
    """

    slides: tuple[tuple[str, ...], ...]
    counts: NDArray[np.float64]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, slide_ids: Iterable[str]) -> Cohort:
        """The given slides of ``manifest``."""
        groups, labels = manifest.groups(), manifest.strata()
        members: dict[str, list[str]] = {}
        for slide in sorted(slide_ids):
            members.setdefault(groups[slide], []).append(slide)
        slides = tuple(tuple(members[group]) for group in sorted(members))
        classes = tuple(sorted({labels[slide] for group in slides for slide in group}))
        return cls(slides, _count(slides, labels, classes), classes)

    def __len__(self) -> int:
        return len(self.slides)

    def take(self, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
        """Slides of the groups where ``chosen`` (``(G,)``) is true."""
        return tuple(
            s for group, yes in zip(self.slides, chosen, strict=True) if yes for s in group
        )

    def present(self, parts: Assignment, n: int) -> NDArray[np.bool_]:
        """``(n, C)``: whether a part holds any slide of a class."""
        return self.totals(parts, n) > 0

    def totals(self, parts: Assignment, n: int) -> NDArray[np.float64]:
        """``(n, C)``: slides of each class in each part."""
        held = np.zeros((n, len(self.classes)))
        np.add.at(held, parts, self.counts)
        return held


def deal(
    cohort: Cohort, n: int, rng: np.random.Generator, emphasis: NDArray[np.float64] | float = 1.0
) -> Assignment:
    """``(G,)``: the part, ``0`` to ``n - 1``, of every group; random under ``rng``.

    A group goes to the part with the smallest sum over its classes of ``v h / t``: ``v`` slides of
    the class in the group, ``h`` already in the part, ``t`` in all. Up to a constant it is the
    increase of the parts' chi-squared distance from equal shares. All slides are one class more.
    ``emphasis`` ``(C,)`` multiplies the terms of the classes.
    """
    counts = np.column_stack([cohort.counts, cohort.counts.sum(axis=1)])
    weights = counts / counts.sum(axis=0)
    weights[:, :-1] *= emphasis
    shuffled = rng.permutation(len(cohort))
    order = shuffled[np.argsort(-weights.sum(axis=1)[shuffled], kind="stable")]
    held = np.zeros((n, counts.shape[1]))
    parts = np.zeros(len(cohort), dtype=np.int64)
    for group in order:
        cost = held @ weights[group]
        best = np.flatnonzero(cost <= cost.min() * (1 + 1e-12))
        part = best[rng.integers(len(best))] if len(best) > 1 else best[0]
        parts[group] = part
        held[part] += counts[group]
    return parts


def imbalance(cohort: Cohort, parts: Assignment, n: int) -> float:
    """Mean squared deviation of the parts' class shares from ``1 / n``; 0 is a perfect cut."""
    shares = cohort.totals(parts, n) / cohort.counts.sum(axis=0)
    return float(np.mean((shares - 1 / n) ** 2))


def _count(
    slides: tuple[tuple[str, ...], ...], labels: Mapping[str, str], classes: tuple[str, ...]
) -> NDArray[np.float64]:
    column = {name: c for c, name in enumerate(classes)}
    counts = np.zeros((len(slides), len(classes)))
    for g, group in enumerate(slides):
        for slide in group:
            counts[g, column[labels[slide]]] += 1
    return counts
