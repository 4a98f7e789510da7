"""Kills a grid at chosen moments and starts it again. Run as a program by ``test_killed.py``.

It forks a child per attempt, so that torch is imported once. Usage: ``killed_runs.py FOLDER``; a
JSON list on standard output has ``[place, files before, exit of the killed one, exit of the
restarted one]`` for every place where a child was killed.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path

import torch
import toy_grid
from rich.console import Console
from run_requests import request, run_grid

# File and count: die instead of its n-th replacement, with the temporary file complete on disk.
PLACES = [
    ("spec.json", 1),
    ("checkpoint.pt", 1),
    ("checkpoint.pt", 3),
    ("train.csv", 2),
    ("checkpoint.pt", 4),
    ("train.csv", 4),
    ("predictions.csv", 1),
    ("checkpoint.pt", 5),  # the slimmed one
    ("result.json", 1),
]
# Count: die in the n-th call of the loss, in the middle of an epoch.
STEPS = [1, 6, 11]


def attempt(runs: Path, kill: tuple[str, int] | int | None) -> int:
    """Run the grid in a child; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        install(kill)
        outcome = run_grid(*request(runs), Console(file=io.StringIO()))
        os._exit(len(outcome.failed))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def install(kill: tuple[str, int] | int | None) -> None:
    """Arrange the death of this process."""
    left = kill[1] if isinstance(kill, tuple) else kill

    def strike() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    real_replace, real_loss = os.replace, toy_grid.Plain.loss

    def replace(source, target):
        if Path(target).name == kill[0]:
            strike()
        real_replace(source, target)

    def loss(*arguments):
        strike()
        return real_loss(*arguments)

    if isinstance(kill, tuple):
        os.replace = replace
    elif kill is not None:
        toy_grid.Plain.loss = loss


def main(folder: Path) -> None:
    """Kill and restart at every place."""
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])  # imports much of torch, once for all children
    report = [["never", [], attempt(folder / "never", None), 0]]
    for kill in [*PLACES, *STEPS]:
        name = f"{kill[0]}-{kill[1]}" if isinstance(kill, tuple) else f"step-{kill}"
        killed = attempt(folder / name, kill)
        left = sorted(p.name for p in (folder / name).glob("toy/plain/*/*"))
        report.append([name, left, killed, attempt(folder / name, None)])
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
