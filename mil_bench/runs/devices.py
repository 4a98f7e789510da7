"""Which device each worker uses."""

from __future__ import annotations

import torch

from mil_bench.errors import UsageError


def devices(choice: str, jobs: int) -> list[torch.device]:
    """The device of each of ``jobs`` workers; several GPUs are dealt out in turn.

    ``auto`` is CUDA where there is any, else the CPU; ``cuda`` is every visible GPU. Raises
    ``UsageError`` for a device this machine does not have.
    """
    count = torch.cuda.device_count() if choice != "cpu" else 0
    gpus = [torch.device("cuda", i) for i in range(count)]
    if choice == "cpu" or (choice == "auto" and not gpus):
        pool = [torch.device("cpu")]
    elif choice in ("auto", "cuda"):
        pool = gpus
    else:
        pool = [gpu for gpu in gpus if str(gpu) == choice]
    if not pool:
        found = ", ".join(["cpu", *map(str, gpus)])
        raise UsageError(
            f"device {choice!r} is not on this machine; expected auto or one of: {found}."
        )
    return [pool[i % len(pool)] for i in range(jobs)]
