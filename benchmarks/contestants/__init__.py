"""Who takes part in a comparison: ours, the plain loop, and torchmil with and without padding."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from benchmarks.workloads import Cohort, Workload
from mil_bench.base.errors import MilBenchError
from mil_bench.contract.spec import Precision

if TYPE_CHECKING:
    from benchmarks.contestants.contestant import Contestant

OURS, PLAIN = "ours", "plain"
CONTESTANTS: Final = {
    OURS: "ours:Ours",
    PLAIN: "plain:PlainLoop",
    "torchmil": "torchmil:OneBag",
    "torchmil padded": "torchmil:Padded",
}
"""Contestant -> module and class."""


class SkippedError(MilBenchError):
    """A contestant cannot take part; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One contestant on one method and workload; ``batch`` bags make one step."""

    contestant: str
    method: str
    workload: Workload
    precision: Precision = "32"
    batch: int = 1
    dropout: bool = True
    seed: int = 0


def contestant_class(name: str) -> type[Contestant]:
    """Return the class of contestant ``name``."""
    module, _, cls = CONTESTANTS[name].partition(":")
    found: type[Contestant] = getattr(import_module(f"{__name__}.{module}"), cls)
    return found


def make(entry: Entry, cohort: Cohort) -> Contestant:
    """Return the contestant of ``entry`` on ``cohort``, ready to train."""
    contestant = contestant_class(entry.contestant)(entry, cohort)
    contestant.build()
    return contestant
