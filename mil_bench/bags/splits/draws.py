"""K-fold, Monte-Carlo and hold-out draws that keep groups together and class shares even.

A group (patient) may hold slides of several classes, so patients cannot be stratified. Instead,
groups are assigned one by one, the most influential first, to the part that lacks their classes
most. This is the greedy algorithm of ``StratifiedGroupKFold`` with another cost. It also balances
the number of slides, and works when a class has fewer groups than there are parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import SplitError
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Fold

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
        """Make the cohort of the given slides of ``manifest``."""
        groups, labels = manifest.groups(), manifest.strata()
        members: dict[str, list[str]] = {}
        for slide in sorted(slide_ids):  # sorted: the order of the label file has no influence
            members.setdefault(groups[slide], []).append(slide)
        slides = tuple(tuple(members[group]) for group in sorted(members))
        classes = tuple(sorted({labels[slide] for group in slides for slide in group}))
        return cls(slides, _count(slides, labels, classes), classes)

    def __len__(self) -> int:
        return len(self.slides)

    def take(self, mask: NDArray[np.bool_]) -> tuple[str, ...]:
        """Return the slides of the groups where ``mask`` (``(G,)``) is true."""
        return tuple(s for group, yes in zip(self.slides, mask, strict=True) if yes for s in group)

    def present(self, parts: Assignment, n: int) -> NDArray[np.bool_]:
        """Return ``(n, C)``: whether a part holds any slide of a class."""
        return self.totals(parts, n) > 0

    def totals(self, parts: Assignment, n: int) -> NDArray[np.float64]:
        """Return ``(n, C)``: slides of each class in each part."""
        totals = np.zeros((n, len(self.classes)))
        np.add.at(totals, parts, self.counts)  # add.at: several groups per part
        return totals


def deal(
    cohort: Cohort, n: int, rng: np.random.Generator, emphasis: NDArray[np.float64] | float = 1.0
) -> Assignment:
    """Assign every group to a part, ``(G,)`` from ``0`` to ``n - 1``, at random under ``rng``.

    A group goes to the part with the smallest sum over its classes of ``v h / t``: ``v`` slides of
    the class in the group, ``h`` already in the part, ``t`` in all. Up to a constant it is the
    increase of the parts' chi-squared distance from equal shares. All slides are one class more.
    ``emphasis`` ``(C,)`` multiplies the terms of the classes.
    """
    counts = np.column_stack([cohort.counts, cohort.counts.sum(axis=1)])
    weights = counts / counts.sum(axis=0)  # 1 / t of every class
    weights[:, :-1] *= emphasis
    # Ties of influence in random order: shuffled first, then a stable sort.
    shuffled = rng.permutation(len(cohort))
    order = shuffled[np.argsort(-weights.sum(axis=1)[shuffled], kind="stable")]
    held = np.zeros((n, counts.shape[1]))
    parts = np.zeros(len(cohort), dtype=np.int64)
    for group in order:
        cost = held @ weights[group]  # sum over classes of v h / t
        best = np.flatnonzero(cost <= cost.min() * (1 + 1e-12))  # equal up to rounding
        part = best[rng.integers(len(best))] if len(best) > 1 else best[0]
        parts[group] = part
        held[part] += counts[group]
    return parts


def imbalance(cohort: Cohort, parts: Assignment, n: int) -> float:
    """Return the mean squared deviation of the parts' class shares from ``1 / n``."""
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


# K-fold, Monte-Carlo and hold-out draws of a cohort.

TRIES = 32
EVEN_TRIES = 8
GOOD_SPREAD = 0.05  # relative deviation of class shares at which no further deal is tried
TENTHS = 10  # Monte-Carlo: one tenth test, one tenth validation
EIGHTHS = 8  # a validation set drawn from train takes one eighth: a tenth of an 80 % train set

Presence = NDArray[np.bool_]


def kfold(cohort: Cohort, k: int, seed: int) -> tuple[Fold, ...]:
    """Draw ``k`` folds whose test sets partition the cohort; the next test set validates.

    Raises ``SplitError`` for ``k < 3`` (train would be empty) or fewer groups than folds.
    """
    if k < 3:
        raise SplitError(
            f"kfold-{k} leaves no training slides: one part is the test set and the next the "
            "validation set. Use at least kfold-3."
        )
    if len(cohort) < k:
        raise SplitError(
            f"kfold-{k} requires at least {k} groups (patients), the dataset has {len(cohort)}; "
            "use fewer folds."
        )

    def absent(present: Presence) -> tuple[int, ...]:
        pairs = range(k)
        train = [np.delete(present, [i, (i + 1) % k], axis=0).any(axis=0) for i in pairs]
        # Absent from a train set weighs more than from a test set.
        return int(np.sum(~np.array(train))), int(np.sum(~present))

    parts = _best_deal(cohort, k, np.random.default_rng([seed, k]), absent)
    # The next test set validates.
    return tuple(_fold(cohort, parts, i, (i + 1) % k) for i in range(k))


def monte_carlo(cohort: Cohort, draws: int, seed: int) -> tuple[Fold, ...]:
    """Draw ``draws`` independent folds of 80/10/10 % of the slides; test sets overlap.

    A cohort of fewer than ten groups gives one group to validation and one to test.
    """
    n = min(TENTHS, len(cohort))  # fewer groups than tenths: one each
    if draws < 1 or n < 3:
        raise SplitError(
            f"mccv-{draws} requires at least one draw and three groups (patients), the dataset has "
            f"{len(cohort)} groups; correct the number or add patients."
        )
    folds = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        folds.append(_fold(cohort, _best_deal(cohort, n, rng, _absent_in_holdout), 0, 1))
    return tuple(folds)


def hold_out(cohort: Cohort, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ``(rest, held_out)``: one eighth of the slides validates, groups kept together."""
    n = min(EIGHTHS, len(cohort))
    if n < 2:
        raise SplitError(
            "a validation set cannot be drawn from the train slides of one group (patient); "
            "list the validation slides in the split file."
        )
    held_out = _best_deal(cohort, n, rng, _absent_in_holdout) == 0  # part 0 of eight
    return cohort.take(~held_out), cohort.take(held_out)


def _fold(cohort: Cohort, parts: Assignment, test: int, val: int) -> Fold:
    in_test, in_val = parts == test, parts == val
    return Fold(cohort.take(~in_test & ~in_val), cohort.take(in_val), cohort.take(in_test))


def _absent_in_holdout(present: Presence) -> tuple[int, ...]:
    """Classes absent from train (all parts but the first two), from part 0 and from part 1."""
    train = present[2:] if len(present) > 2 else present[1:]
    return int(np.sum(~train.any(axis=0))), int(np.sum(~present[0])), int(np.sum(~present[1]))


def _best_deal(
    cohort: Cohort,
    n: int,
    rng: np.random.Generator,
    absent: Callable[[Presence], tuple[int, ...]],
) -> Assignment:
    """The deal with the fewest absent classes (most important count first), then the most even."""
    best: tuple[tuple[float, ...], Assignment] | None = None
    for attempt in range(TRIES):
        # Later tries weigh classes at random, because the even weights may lead to a dead end.
        emphasis = rng.exponential(size=len(cohort.classes)) if attempt >= EVEN_TRIES else 1.0
        parts = deal(cohort, n, rng, emphasis)
        lacks = absent(cohort.present(parts, n))
        spread = imbalance(cohort, parts, n)  # decides between deals with as few absent classes
        if best is None or (*lacks, spread) < best[0]:
            best = (*lacks, spread), parts
        if not any(lacks) and spread < (GOOD_SPREAD / n) ** 2:
            break
    assert best is not None
    return best[1]
