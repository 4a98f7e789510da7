"""Costs of every method on whole slides: parameters, operations per patch, growth with N.

``python -m benchmarks.method_costs --method NAMES`` prints a Markdown table. Operations are those
of :mod:`mil_bench.cards.cost`. Memory: the largest growth of the process in a training step of a
bag, forward and backward, on a CPU.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from benchmarks.command import chosen, run
from mil_bench.cards.cost import HEADER, SIZES, bag_of, build, cells
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method
from mil_bench.methods import METHODS


def memory(name: str, n: int) -> float:
    """Return MB by which a process grows in a training step; measured in a separate process."""
    torch.set_num_threads(1)
    model, batch = build(METHODS.get(name)).train(), bag_of(n)
    step(model, bag_of(64))  # what libraries take once
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    step(model, batch)
    return (_status("VmHWM") - before) / 1024


def step(model: Method, batch: BagBatch) -> None:
    """Run forward and backward."""
    model.before_epoch(0.0)
    sum(model.loss(model(batch), batch, 0.0).values()).backward()  # type: ignore[union-attr]


def row(name: str) -> str:
    """Return one line of the table."""
    fresh = multiprocessing.get_context("spawn")
    grown = []
    for n in SIZES:
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            grown.append(process.submit(memory, name, n).result())
    numbers = [*cells(METHODS.get(name)), *(f"{one:.0f}" for one in grown)]
    return f"| {name} | " + " | ".join(numbers) + " |"


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(key)).split()[1])


def method_costs(method: str = "all") -> None:
    """Print the table."""
    growth = [f"MB, N = {n:,}" for n in SIZES]
    print("| " + " | ".join(["method", *HEADER, *growth]) + " |")
    print("| --- |" + " ---: |" * (len(HEADER) + len(growth)))
    for name in METHODS.names() if method == "all" else chosen("method", method, METHODS.names()):
        print(row(name), flush=True)


if __name__ == "__main__":
    run(method_costs)
