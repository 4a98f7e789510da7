"""How long the command line takes to answer: help, lists and wrong words.

python -m benchmarks.cli --rounds 15
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import torch

from benchmarks.command import run
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.table import Table
from mil_bench.base.errors import UsageError

CPU = torch.device("cpu")
TARGET_MS = 200
PROGRAM = Path(sys.executable).with_name("mil-bench")
BARE: Final = "python -c pass"
COMMANDS: Final[Mapping[str, tuple[Sequence[str], int]]] = {
    BARE: ((sys.executable, "-c", "pass"), 0),
    "mil-bench --help": ((str(PROGRAM), "--help"), 0),
    "mil-bench list": ((str(PROGRAM), "list"), 0),
    "mil-bench run --help": ((str(PROGRAM), "run", "--help"), 0),
    "mil-bench run --nonsense": ((str(PROGRAM), "run", "--nonsense"), 2),
    "mil-bench run --method nonsense": (
        (str(PROGRAM), "run", "--method", "nonsense", "--dataset", "digit-bags"),
        2,
    ),
    "mil-bench show hmil": ((str(PROGRAM), "show", "hmil"), 0),
}
"""Title -> words and the exit code they must end with."""


def cli(
    rounds: int = 15,
) -> None:
    """Measure, print the table, keep the rows by hardware."""
    if not PROGRAM.exists():
        raise UsageError(f"{PROGRAM} does not exist; install the package: pip install -e .")
    times: dict[str, list[float]] = {title: [] for title in COMMANDS}
    for number in range(rounds + 1):
        for title, (words, code) in COMMANDS.items():
            seconds = answer_seconds(words, code)
            if number > 0:
                times[title].append(seconds)
    rows = [{"command": title, "seconds": seconds} for title, seconds in times.items()]
    keep(results_path("cli", CPU), rows, ("command",), CPU)
    print_cli(rows)


def answer_seconds(words: Sequence[str], code: int) -> float:
    """Return seconds from the start of a process to its end, which must be ``code``."""
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != code:
        raise UsageError(f"{' '.join(words)} ended with {done.returncode}, expected {code}.")
    return seconds


def print_cli(rows: Sequence[ResultRow]) -> None:
    """Print medians, spread and the time without the interpreter itself."""
    bare = next(median(row["seconds"]) for row in rows if row["command"] == BARE)
    lines = []
    for row in rows:
        times = [1000 * seconds for seconds in row["seconds"]]
        middle = median(times)
        cells = (f"{middle:.0f}", f"{min(times):.0f}", f"{max(times):.0f}")
        lines.append((row["command"], *cells, f"{middle - 1000 * bare:.0f}"))
    heads = ("", "median ms", "min", "max", "above python")
    title = f"start to end (aim for help, lists and errors: under {TARGET_MS} ms)"
    print(Table(title, heads, lines, ["show imports the method, and with it torch"]))


if __name__ == "__main__":
    run(cli)
