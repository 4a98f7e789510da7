"""What a row is: a default, a tuned method, a control, or a flat method with a head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mil_bench.contract.spec import Experiment
from mil_bench.runs.tuning_record import TuningRecord

SHUFFLED: Final = "shuffled tree"
SHARED: Final = "tuned, shared"

HEADS: Final = {
    "multi": "multi head",
    "conditional": "conditional head",
    "marginal": "marginal head",
    "soft-labels": "soft labels",
}
"""The hierarchical heads of ``mil_bench/nn/heads.py``."""


def role_of(spec: Experiment) -> str:
    """Return ``shuffled tree``, ``multi head`` or another head, or nothing."""
    if spec.shuffled_tree:
        return SHUFFLED
    return head_role(spec)


def head_role(spec: Experiment) -> str:
    """Return the hierarchical head that a flat method was given, or nothing."""
    return HEADS.get(str(spec.method_config.get("head")), "")


@dataclass(frozen=True)
class Tuning:
    """The searches behind one row: one study, or one for each outer fold.

    ``trials`` and ``failed`` are added up over studies, ``hours`` over processes as well.
    ``budgets`` are the trials of each study. ``default`` and ``tuned`` are keys of runs.
    """

    family: str
    role: str
    objective: str
    studies: int
    budgets: tuple[int, ...]
    failed: int
    pruned: int
    hours: float
    default: frozenset[str]
    tuned: frozenset[str]

    @property
    def shared(self) -> bool:
        """Whether one search chose the settings of all folds."""
        return self.role == SHARED

    @property
    def trials(self) -> int:
        """Trials of all studies."""
        return sum(self.budgets)

    @classmethod
    def of(cls, records: Sequence[TuningRecord]) -> Tuning:
        """Add up the records of one family."""
        shared = any(record.scope == "shared" for record in records)
        return cls(
            records[0].family,
            SHARED if shared else "tuned",
            records[0].objective,
            len(records),
            tuple(record.trials for record in records),
            sum(record.failed for record in records),
            sum(record.pruned for record in records),
            sum(record.hours for record in records),
            frozenset(key for record in records for key in record.default),
            frozenset(key for record in records for key in record.tuned),
        )


def tunings_of(keys: Iterable[str], records: Iterable[TuningRecord]) -> list[Tuning]:
    """Return the searches that any of the runs with these ``keys`` came of, family by family."""
    of_runs = set(keys)
    families: dict[str, list[TuningRecord]] = defaultdict(list)
    for record in records:
        if not of_runs.isdisjoint(record.tuned):  # a search of other runs is not of this board
            families[record.family].append(record)
    return [Tuning.of(family) for _, family in sorted(families.items())]
