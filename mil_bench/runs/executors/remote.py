"""The remote end of Ray and Slurm: a process on some machine that executes runs of a grid."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from mil_bench.bags.placement import PlacementChoice
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import FeaturePlacement
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.run_worker import RunWorker
from mil_bench.runs.task import RunOutcome, Task
from mil_bench.training.progress import Reporter

PATIENCE = 120.0  # seconds until the lock of a machine that died is surely free
OURS = "MIL_BENCH_"


@dataclass(frozen=True)
class RemoteContext:
    """What a remote process needs of the command: options, working folder, variables."""

    machine: MachineRequest
    folder: Path
    variables: dict[str, str]

    @classmethod
    def here(cls, machine: MachineRequest) -> RemoteContext:
        """Return the context of this process."""
        # The shell of the command may have set them.
        variables = {name: v for name, v in os.environ.items() if name.startswith(OURS)}
        return cls(machine, Path.cwd(), variables)

    def make(self, task: Task) -> RunOutcome:
        """Execute a run, waiting for an earlier attempt that is just ending.

        A process that executes several runs keeps their dataset open.
        """
        os.chdir(self.folder)  # relative paths are those of the command
        os.environ.update(self.variables)
        directory = RunDirectory.of(self.machine.runs, task.spec)
        if self.machine.device == "cuda" and not torch.cuda.is_available():
            return failed_outcome(task, directory, _NO_GPU, f"machine: {socket.gethostname()}\n")
        worker = _worker(self.machine.device, self.machine.threads, self.machine.cache)
        return worker.execute(task, directory, Reporter(), patience=PATIENCE)


_NO_GPU = (
    "the worker has no GPU, but --device cuda was requested; exclude the machine named in "
    "traceback.txt and run `mil-bench retry --failed`, or use --device cpu."
)


def failed_outcome(
    task: Task, directory: RunDirectory, sentence: str, trace: str = ""
) -> RunOutcome:
    """Record and return the failed run of a process that could not begin it, or died.

    Boards show ``sentence``; ``trace`` stays in the run folder and may name the machine.
    """
    directory.fail_without_trace(task.spec.key, sentence, trace)
    return RunOutcome(task.spec, "failed", sentence)


@cache
def _worker(device: str, threads: int, choice: PlacementChoice) -> RunWorker:
    """Return the only run worker of this process: a grid uses the same settings everywhere."""
    place = torch.device(device, 0) if device == "cuda" else torch.device(device)
    # As many such processes as the machine has room for; a GPU is given to one of them alone.
    processes = max(1, (os.cpu_count() or 1) // threads) if device == "cpu" else 1
    return RunWorker(place, threads, FeaturePlacement(choice, [place] * processes))
