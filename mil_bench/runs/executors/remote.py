"""The far end of Ray and Slurm: a process on some machine that makes runs of a grid."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from mil_bench.bags.placement import CacheChoice
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.open_dataset import Homes
from mil_bench.runs.run_worker import Workshop
from mil_bench.runs.task import Outcome, Task
from mil_bench.training.progress import Reporter

PATIENCE = 120.0  # seconds until the lock of a machine that died is surely free
OURS = "MIL_BENCH_"


@dataclass(frozen=True)
class Site:
    """What a process anywhere must know of the command: how, in which folder, which variables."""

    machine: MachineRequest
    folder: Path
    variables: dict[str, str]

    @classmethod
    def here(cls, machine: MachineRequest) -> Site:
        """That of this process."""
        ours = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
        return cls(machine, Path.cwd(), ours)

    def make(self, task: Task) -> Outcome:
        """Make a run, waiting for an earlier attempt that is just ending.

        A process that is used again has its dataset still open.
        """
        os.chdir(self.folder)
        os.environ.update(self.variables)
        directory = RunDirectory.of(self.machine.runs, task.spec)
        if self.machine.device == "cuda" and not torch.cuda.is_available():
            return refused(task, directory, _NO_GPU.format(socket.gethostname()))
        workshop = _workshop(self.machine.device, self.machine.threads, self.machine.cache)
        return workshop.execute(task, directory, Reporter(), patience=PATIENCE)


_NO_GPU = (
    "the worker on {} sees no GPU, but --device cuda was requested; exclude broken GPUs on that "
    "machine, then run `mil-bench retry --failed`, or use --device cpu."
)


def refused(task: Task, directory: RunDirectory, sentence: str) -> Outcome:
    """The failed run of a process that could not begin it, or died."""
    directory.fail_without_trace(task.spec.key, sentence)
    return Outcome(task.spec, "failed", sentence)


@cache
def _workshop(device: str, threads: int, choice: CacheChoice) -> Workshop:
    """This process's only one: a grid asks every worker for the same."""
    place = torch.device(device, 0) if device == "cuda" else torch.device(device)
    # As many such processes as the machine has room for; a GPU is given to one of them alone.
    processes = max(1, (os.cpu_count() or 1) // threads) if device == "cpu" else 1
    return Workshop(place, threads, Homes(choice, [place] * processes))
