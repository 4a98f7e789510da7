"""K-fold, Monte-Carlo and hold-out draws of a cohort."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.splits.partition import Assignment, Cohort, deal, imbalance
from mil_bench.bags.splits.split import Fold
from mil_bench.errors import SplitError

TRIES = 32
EVEN_TRIES = 8
GOOD_SPREAD = 0.05  # relative deviation of class shares at which no further deal is tried
TENTHS = 10  # Monte-Carlo: one tenth test, one tenth validation
EIGHTHS = 8  # a validation set drawn from train takes one eighth: a tenth of an 80 % train set

Presence = NDArray[np.bool_]


def kfold(cohort: Cohort, k: int, seed: int) -> tuple[Fold, ...]:
    """``k`` folds whose test sets partition the cohort; validation is the next fold's test set.

    Raises ``SplitError`` for ``k < 3`` (train would be empty) or fewer groups than folds.
    """
    if k < 3:
        raise SplitError(
            f"kfold-{k} leaves nothing to train on, because one part is the test and the next the "
            "validation set; use at least kfold-3."
        )
    if len(cohort) < k:
        raise SplitError(
            f"kfold-{k} needs at least {k} groups (patients), the dataset has {len(cohort)}; "
            "use fewer folds."
        )

    def absent(present: Presence) -> tuple[int, ...]:
        pairs = range(k)
        train = [np.delete(present, [i, (i + 1) % k], axis=0).any(axis=0) for i in pairs]
        return int(np.sum(~np.array(train))), int(np.sum(~present))

    parts = _best_deal(cohort, k, np.random.default_rng([seed, k]), absent)
    return tuple(_fold(cohort, parts, i, (i + 1) % k) for i in range(k))


def monte_carlo(cohort: Cohort, draws: int, seed: int) -> tuple[Fold, ...]:
    """``draws`` independent folds of 80/10/10 % of the slides; their test sets overlap.

    A cohort of fewer than ten groups gives one group to validation and one to test.
    """
    n = min(TENTHS, len(cohort))
    if draws < 1 or n < 3:
        raise SplitError(
            f"mccv-{draws} needs at least one draw and three groups (patients), the dataset has "
            f"{len(cohort)} groups; correct the number or add patients."
        )
    folds = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        folds.append(_fold(cohort, _best_deal(cohort, n, rng, _absent_in_holdout), 0, 1))
    return tuple(folds)


def hold_out(cohort: Cohort, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``(rest, held)``: one eighth of the slides held out as validation, groups whole."""
    n = min(EIGHTHS, len(cohort))
    if n < 2:
        raise SplitError(
            "a validation set cannot be drawn from the train slides of one group (patient); "
            "list the validation slides in the split file."
        )
    held = _best_deal(cohort, n, rng, _absent_in_holdout) == 0
    return cohort.take(~held), cohort.take(held)


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
        missing = absent(cohort.present(parts, n))
        spread = imbalance(cohort, parts, n)
        if best is None or (*missing, spread) < best[0]:
            best = (*missing, spread), parts
        if not any(missing) and spread < (GOOD_SPREAD / n) ** 2:
            break
    assert best is not None
    return best[1]
