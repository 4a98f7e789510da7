"""Rounds A B C A B C: every contestant meets the same state of a shared machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.contestants import Entry, SkippedError, contestant_class
from benchmarks.machine import Machine, Rates
from benchmarks.station import Lap, Mode, Station
from benchmarks.worker import Worker


@dataclass(frozen=True)
class Race:
    """Laps of every contestant and the rates of the machine, one of each per round."""

    laps: Mapping[Entry, list[Lap]]
    rates: list[Rates]


@dataclass(frozen=True)
class Field:
    """The contestants that start, each in its own process, and why others do not."""

    workers: Mapping[Entry, Worker]
    skipped: Mapping[Entry, str]
    machine: Worker

    def race(self, mode: Mode, rounds: int) -> Race:
        """Return ``rounds`` rounds after one that does not count."""
        laps: dict[Entry, list[Lap]] = {entry: [] for entry in self.workers}
        rates = []
        for number in range(rounds + 1):
            rates.append(self.machine.call("rates"))
            for entry, worker in self.workers.items():
                laps[entry].append(worker.call("lap", mode, number))
        return Race({entry: one[1:] for entry, one in laps.items()}, rates[1:])


@contextmanager
def starting(entries: Sequence[Entry], threads: int) -> Iterator[Field]:
    """Start a field of ``entries``; its processes end with the context."""
    workers, skipped = {}, {}
    precisions = tuple(dict.fromkeys(entry.precision for entry in entries))
    with ExitStack() as stack:
        for entry in entries:
            try:
                contestant_class(entry.contestant).require()
            except SkippedError as error:
                skipped[entry] = str(error)
                continue
            worker = Worker(partial(Station, entry, threads), threads)
            workers[entry] = stack.enter_context(worker)
        machine = Worker(partial(Machine, precisions, threads), threads)
        yield Field(workers, skipped, stack.enter_context(machine))
