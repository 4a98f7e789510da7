"""Rows of a board that came out of a search, and what the search has cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mil_bench.boards.collect import RunRecord
from mil_bench.runs.tuning_record import TuningRecord


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
    def trials(self) -> int:
        """Trials of all studies."""
        return sum(self.budgets)

    @classmethod
    def of(cls, records: Sequence[TuningRecord]) -> Tuning:
        """From the records of one family."""
        shared = any(record.scope == "shared" for record in records)
        return cls(
            records[0].family,
            "tuned, shared" if shared else "tuned",
            records[0].objective,
            len(records),
            tuple(record.trials for record in records),
            sum(record.failed for record in records),
            sum(record.pruned for record in records),
            sum(record.hours for record in records),
            frozenset(key for record in records for key in record.default),
            frozenset(key for record in records for key in record.tuned),
        )


def tunings_of(runs: Iterable[RunRecord], records: Iterable[TuningRecord]) -> list[Tuning]:
    """The searches that any of ``runs`` came of, family by family."""
    keys = {run.key for run in runs}
    families: dict[str, list[TuningRecord]] = defaultdict(list)
    for record in records:
        if not keys.isdisjoint(record.tuned):
            families[record.family].append(record)
    return [Tuning.of(found) for _, found in sorted(families.items())]
