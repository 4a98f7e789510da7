"""Where runs execute, how many at a time and on what. Nothing of it changes a run key."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from mil_bench.bags.placement import PlacementChoice
from mil_bench.base.errors import UsageError
from mil_bench.contract.spec import Precision
from mil_bench.nn.precision import resolve_precision

Existing = Literal["skip", "retry-failed", "overwrite"]
ExecutorName = Literal["local", "ray", "slurm"]
PACKAGES = {"ray": "ray", "slurm": "submitit"}  # of the extra with the executor's name


@dataclass(frozen=True)
class MachineRequest:
    """The machine options of a command.

    ``existing`` is what happens to existing runs: ``skip`` keeps done and failed ones,
    ``retry-failed`` resumes failed ones, ``overwrite`` moves all aside and starts again. An
    interrupted run is always resumed. ``jobs`` runs execute at a time with ``threads`` CPU threads
    each: the last bits of a sum depend on that number, so it does not follow ``jobs``. ``cache`` is
    where features are kept (:mod:`mil_bench.bags.placement`). ``memory`` is what Ray or Slurm
    reserves for one run, in GB; ``slurm`` are further options of ``sbatch``.
    """

    runs: Path
    existing: Existing = "skip"
    executor: ExecutorName = "local"
    jobs: int = 1
    threads: int = 1
    device: str = "auto"
    cache: PlacementChoice = "auto"
    memory: float | None = None
    slurm: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """Raise ``UsageError`` for a device or an executor that is not available."""
        if self.executor == "local":
            devices(self.device, self.jobs)
            return
        package = PACKAGES[self.executor]
        if find_spec(package) is None:  # without importing it
            raise UsageError(
                f"--executor {self.executor} requires the package {package}, which is not "
                f"installed; install it with: pip install 'mil-bench[{self.executor}]'"
            )
        if self.device not in ("cpu", "cuda"):
            raise UsageError(
                f"--device {self.device} cannot be resolved for the remote machines of --executor "
                f"{self.executor}; pass --device cpu or --device cuda."
            )

    def where(self) -> str:
        """Return the devices of this machine that are used, or ``cuda by ray``, for people."""
        if self.executor == "local":
            return ", ".join(dict.fromkeys(map(str, devices(self.device, self.jobs))))
        return f"{self.device} by {self.executor}"

    def precision(self, choice: str, safe_in_bf16: bool) -> Precision:
        """Return the arithmetic of a method's runs, the same on every machine of a grid.

        ``auto`` is decided by this machine's device. Raises ``UsageError`` for ``auto`` of other
        machines: a key must not depend on which of them is free first.
        """
        self.check()
        if self.executor == "local":
            return resolve_precision(choice, devices(self.device, 1)[0], safe_in_bf16)
        if choice == "auto":
            raise UsageError(
                "--precision auto cannot be resolved for the remote machines of --executor "
                f"{self.executor}; pass --precision 32 or --precision bf16."
            )
        return resolve_precision(choice, torch.device(self.device), safe_in_bf16)


def devices(choice: str, jobs: int) -> list[torch.device]:
    """Return the device of each of ``jobs`` workers; several GPUs are used in turn.

    ``auto`` is CUDA where there is any, else the CPU; ``cuda`` is every visible GPU. Raises
    ``UsageError`` for a device this machine does not have.
    """
    count = torch.cuda.device_count() if choice != "cpu" else 0  # asking CUDA starts its driver
    gpus = [torch.device("cuda", i) for i in range(count)]
    if choice == "cpu" or (choice == "auto" and not gpus):
        pool = [torch.device("cpu")]
    elif choice in ("auto", "cuda"):
        pool = gpus
    else:
        pool = [gpu for gpu in gpus if str(gpu) == choice]
    if not pool:
        available = ", ".join(["cpu", *map(str, gpus)])
        raise UsageError(
            f"device {choice!r} is not on this machine; expected auto or one of: {available}."
        )
    return [pool[i % len(pool)] for i in range(jobs)]  # in turn
