"""One comparison: contestants of one method on one workload, to rows of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from benchmarks.contestants import OURS, PLAIN, Entry
from benchmarks.floors import epoch_floor
from benchmarks.interleave import Field, Race, starting
from benchmarks.results import ResultRow
from benchmarks.station import Mode
from benchmarks.workloads import Workload
from mil_bench.contract.spec import Precision

RIVALS = (OURS, "torchmil", "torchmil padded")
PADDED_BATCH = 8  # what torchmil pads together
TORCHMIL_METHODS = ("abmil",)


def entries_of(
    workload: Workload,
    method: str,
    rivals: Sequence[str],
    precisions: Sequence[Precision],
    batch: int | None = None,
    dropout: bool = True,
) -> Iterator[Entry]:
    """Yield the plain loop, then ``rivals``: ours at every precision, torchmil if it has the
    method.
    """
    yield Entry(PLAIN, method, workload, dropout=dropout)
    for precision in precisions if OURS in rivals else ():
        yield Entry(OURS, method, workload, precision, batch or workload.batch, dropout)
    for name, bags in (("torchmil", 1), ("torchmil padded", PADDED_BATCH)):
        if name in rivals and method in TORCHMIL_METHODS:
            yield Entry(name, method, workload, batch=bags, dropout=dropout)


def compare(
    entries: Sequence[Entry], mode: Mode, rounds: int, threads: int, epochs: int = 0
) -> Iterator[tuple[Entry, ResultRow]]:
    """Yield a race of ``entries``; the first is the plain loop.

    With ``epochs`` the plain loop and ours also train that long and are scored on held-out bags.
    """
    with starting(entries, threads) as field:
        race = field.race(mode, rounds)
        for entry in entries:
            if entry in field.skipped:
                yield entry, {"skipped": field.skipped[entry]}
            else:
                yield entry, _measured(entry, field, race, mode, epochs)


def _measured(entry: Entry, field: Field, race: Race, mode: Mode, epochs: int) -> ResultRow:
    worker, laps = field.workers[entry], race.laps[entry]
    sizes = worker.call("sizes")
    floor = epoch_floor(entry, mode, sizes, race.rates)
    plain = next(laps for other, laps in race.laps.items() if other.contestant == PLAIN)
    row = {
        "bags": len(sizes),
        "instances": sum(sizes),
        "seconds": [lap.seconds for lap in laps],
        "ratios": [p.seconds / lap.seconds for lap, p in zip(laps, plain, strict=True)],
        "peak_mb": max(lap.peak_mb for lap in laps),
        "floor": {**asdict(floor), "seconds": floor.seconds},
    }
    if entry.contestant == OURS:
        row["difference"] = asdict(worker.call("difference"))
    if epochs and entry.contestant in (PLAIN, OURS):
        row["quality"] = worker.call("quality", epochs)
    return row
