"""The interface of executors, and how one is chosen by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.outcome import Outcome
from mil_bench.runs.task import Prepare, Task


class Executor(Protocol):
    """Makes runs somewhere."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Make every task, ``jobs`` at a time; outcomes in order of completion.

        A failed or killed run is an outcome and stops no other. When the caller stops (Ctrl-C), the
        runs under way are ended; they can be continued. Raises a ``MilBenchError`` before the first
        run when none can be made.
        """


def executor_for(machine: MachineRequest, prepare: Prepare) -> Executor:
    """The executor that ``machine`` names; ``prepare`` opens data in this process."""
    match machine.executor:
        case "local":
            from mil_bench.runs.executors.local import LocalExecutor

            return LocalExecutor(machine, prepare)
        case "ray":
            from mil_bench.runs.executors.on_ray import RayExecutor

            return RayExecutor(machine)
        case "slurm":
            from mil_bench.runs.executors.on_slurm import SlurmExecutor

            return SlurmExecutor(machine)
