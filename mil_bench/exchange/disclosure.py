"""What a private cohort may say of itself: how many patients at least, and which counts are hidden.

Rules of statistical disclosure control for frequency tables (Hundepool et al., Statistical
Disclosure Control, Wiley 2012, chapter 5): a cell of few patients is suppressed, and further cells
with it, so that no difference to a published total gives it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mil_bench.base.errors import DataError, listed

FEWEST_PATIENTS: Final = 20
FEWEST_IN_FOLD: Final = 10
FEWEST_IN_CLASS: Final = 5


def check_patients(patients: int, by_fold: Mapping[int, int]) -> None:
    """Raise ``DataError`` for a cohort, or a fold of it, with too few patients to be published."""
    if patients < FEWEST_PATIENTS:
        raise DataError(
            f"the runs test {patients} patients; a site report requires at least "
            f"{FEWEST_PATIENTS}, because scores of fewer describe single patients."
        )
    small = [f"fold {fold} ({n})" for fold, n in sorted(by_fold.items()) if n < FEWEST_IN_FOLD]
    if small:
        raise DataError(
            f"too few patients are tested in {listed(small)}; a site report requires at least "
            f"{FEWEST_IN_FOLD} in every fold. Use a split of fewer folds."
        )


def rare(patients: Mapping[str, int]) -> list[str]:
    """Return the classes of one to four patients."""
    return [name for name, n in patients.items() if 0 < n < FEWEST_IN_CLASS]


def suppressed(patients: Mapping[str, int]) -> frozenset[str]:
    """Return the classes of one level whose counts and scores are hidden.

    They are the rare classes, and others until no count follows from the total: one other class at
    least, and together eight patients more than there are rare classes. The others are the next in
    the order of ``patients``, because a choice by size (the smallest) would tell sizes.
    """
    hidden = rare(patients)
    if not hidden:
        return frozenset()
    names = list(patients)
    first = names.index(hidden[0])
    together, enough = sum(patients[name] for name in hidden), 8 + len(hidden)
    chosen = list(hidden)
    for name in (*names[first:], *names[:first]):
        if len(chosen) > len(hidden) and together >= enough:
            break
        if patients[name] >= FEWEST_IN_CLASS:
            chosen.append(name)
            together += patients[name]
    return frozenset(chosen)
