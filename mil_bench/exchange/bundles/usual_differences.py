"""By how much a run differs when it is repeated on a second machine, and how to judge it.

The numbers were measured (``benchmarks/reproducibility.py``, ``docs/reproduce.md``): the same runs
on two processors, with one and two threads, in float32 and bfloat16.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

Change = Literal["processor", "threads", "precision"]
CHANGES: Final[tuple[Change, ...]] = ("processor", "threads", "precision")
TABLE: Final = Path(__file__).with_name("usual_differences.csv")
RETRAINED_ELSEWHERE: Final = (
    "The same 29 rows were trained on two processors. Their balanced accuracy moved by 1.2 points "
    "on average and by 6.5 at most (Spearman correlation 0.93). Of 8,169 comparisons 949 changed "
    "their decision, but none its direction (docs/reproduce.md)."
)
"""What "as trained" and "retraining" mean, in numbers that were measured."""
_CHANGED: Final = {
    "processor": ("processor", "device", "driver"),
    "threads": ("threads",),
    "versions": ("mil-bench", "packages", "code"),
}
_SAME = 5e-7
_LEAST_RUNS = 10


class UsualDifference(NamedTuple):
    """Differences of the balanced accuracy of single runs, absolute, as fractions.

    ``runs`` were made twice, and ``equal`` of them scored the same. ``high`` is the quantile of
    95 %. ``method`` is empty for all methods together.
    """

    change: str
    method: str
    runs: int
    equal: int
    mean: float
    high: float
    largest: float


def usual_difference(method: str, change: Change = "processor") -> UsualDifference:
    """Return what ``change`` usually does to a run of ``method``; to any run if it is unknown."""
    table = _table()
    # Changes without a measurement count as another processor.
    measured = change if (change, "") in table else "processor"
    own = table.get((measured, method))
    # Few runs say little: all methods together.
    return own if own is not None and own.runs >= _LEAST_RUNS else table[measured, ""]


@cache
def _table() -> dict[tuple[str, str], UsualDifference]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [
            UsualDifference(
                row["change"],
                row["method"],
                int(row["runs"]),
                int(row["equal"]),
                *(float(row[name]) for name in ("mean", "high", "largest")),
            )
            for row in csv.DictReader(file)
        ]
    return {(row.change, row.method): row for row in rows}


Level = Literal["equal", "usual", "rare", "unusual"]


@dataclass(frozen=True)
class Judgement:
    """What a difference between a reported and a repeated run means.

    ``equal`` to six digits; ``usual`` as 95 % of the measured differences; ``rare`` up to the
    largest of them. ``unusual`` is beyond it, or any difference where nothing else differs.
    """

    level: Level
    sentence: str

    @property
    def repeated(self) -> bool:
        """Whether the repeated run confirms the reported one."""
        return self.level in ("equal", "usual")


def judge(
    method: str, difference: float, reported: Mapping[str, Any], repeated: Mapping[str, Any]
) -> Judgement:
    """Judge the ``difference`` of balanced accuracy of one run: repeated minus reported.

    ``reported`` and ``repeated`` are the contents of ``env.json``.
    """
    points = f"{100 * difference:+z.1f} points of balanced accuracy"
    if abs(difference) < _SAME:
        return Judgement("equal", "The repeated run has the same balanced accuracy.")
    changed = changes(reported, repeated)
    if not changed:
        return Judgement(
            "unusual",
            f"The repeated run differs by {points}, although processor, threads and versions are "
            "those of the report; expected the same predictions.",
        )
    # Other threads and another processor: the larger change counts.
    change: Change = "threads" if changed == ["threads"] else "processor"
    usual = usual_difference(method, change)
    level: Level = "unusual"
    if abs(difference) <= usual.high:
        level = "usual"
    elif abs(difference) <= usual.largest:
        level = "rare"
    says = {
        "usual": "That is usual",
        "rare": "That is rare",
        "unusual": "That is more than was ever measured",
    }[level]
    between = "numbers of threads" if usual.change == "threads" else "processors"
    whose = f"of {usual.method}" if usual.method else "of all methods"
    return Judgement(
        level,
        f"The repeated run differs by {points}, with other {' and '.join(changed)}. {says}: "
        f"between two {between}, {usual.runs} runs {whose} differed by {100 * usual.mean:.1f} "
        f"points on average and {100 * usual.largest:.1f} at most (docs/reproduce.md).",
    )


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return what differs between two environments: processor, threads, versions."""
    return [
        change
        for change, facts in _CHANGED.items()
        if any(first.get(fact) != second.get(fact) for fact in facts)
    ]
