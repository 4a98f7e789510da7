"""What every contestant can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from benchmarks.contestants import Entry
from benchmarks.workloads import Cohort
from mil_bench.evaluation.predictions import Predictions


class Contestant(ABC):
    """Data at hand after construction; model and optimiser after :meth:`build`."""

    def __init__(self, entry: Entry, cohort: Cohort) -> None:
        self.entry, self.cohort = entry, cohort

    @classmethod  # noqa: B027  not all need it
    def require(cls) -> None:
        """Raise ``SkippedError`` when something needed is not installed."""

    @classmethod  # noqa: B027  not all need it
    def prepare(cls) -> None:
        """Set the switches of the process; called once, before any data exist."""

    @abstractmethod
    def build(self) -> None:
        """Make model and optimiser."""

    @abstractmethod
    def train(self, epoch: int) -> None:
        """Train one epoch over the training bags."""

    @abstractmethod
    def predict(self, slides: Sequence[str]) -> Predictions:
        """Return class probabilities of ``slides``."""
