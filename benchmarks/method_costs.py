"""What every method costs on whole slides: parameters, operations per patch, growth with N.

``python -m benchmarks.method_costs [NAME ...]`` prints a Markdown table. Default configurations,
1,024 features, seven classes in three groups. FLOP: a multiply-add is two, products of matrices and
convolutions only, forward pass (torch's counter). Memory: the largest growth of the process in a
training step of a bag, forward and backward, on a CPU. Growth: the exponent of N in all FLOP,
between the two largest bags; one is linear.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from math import log
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mil_bench.bags.batch import BagBatch
from mil_bench.method import Method
from mil_bench.methods import METHODS
from mil_bench.taxonomy import Taxonomy

DIM = 1024
SIZES = (1024, 4096, 16384)
TREE = Taxonomy.from_tree("seven", {"a": ["0", "1", "2"], "b": ["3", "4"], "c": ["5", "6"]})


def bag_of(n: int) -> BagBatch:
    """One labelled bag on a square of tiles."""
    torch.manual_seed(0)
    places = torch.arange(n)
    coords = torch.stack([places % 128, places // 128], 1) * 256.0
    labels = {level: torch.zeros(1, dtype=torch.int64) for level in TREE.levels}
    return BagBatch.pack([torch.randn(n, DIM)], [coords], labels)


def build(name: str) -> Method:
    """The method as it is by default."""
    torch.manual_seed(0)
    cls = METHODS.get(name)
    return cls(cls.Config(), DIM, TREE)


def fused(query: torch.Size, key: torch.Size, *_: Any, **__: Any) -> int:
    """FLOP of the CPU's fused attention, which older releases of torch do not count."""
    batch, heads, rows, width = query
    return 4 * batch * heads * rows * width * key[2]  # scores and weighted values


def operations(name: str, n: int) -> float:
    """FLOP of a forward pass over a bag of ``n``."""
    model = build(name).eval().requires_grad_(False)  # no_grad alone trips it on parameters' views
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(display=False, custom_mapping={kernel: fused})
    with counter, sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # no matrix of N x N
        model(bag_of(n))
    return float(counter.get_total_flops())


def memory(name: str, n: int) -> float:
    """MB by which a process grows in a training step; asked for in a process of its own."""
    torch.set_num_threads(1)
    model, batch = build(name).train(), bag_of(n)
    step(model, bag_of(64))  # what libraries take once
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    step(model, batch)
    return (_status("VmHWM") - before) / 1024


def step(model: Method, batch: BagBatch) -> None:
    """Forward and backward."""
    model.before_epoch(0.0)
    sum(model.loss(model(batch), batch, 0.0).values()).backward()  # type: ignore[union-attr]


def row(name: str) -> str:
    """One line of the table."""
    parameters = sum(p.numel() for p in build(name).parameters() if p.requires_grad)
    flop = [operations(name, n) for n in SIZES]
    fresh = multiprocessing.get_context("spawn")
    grown = []
    for n in SIZES:
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            grown.append(process.submit(memory, name, n).result())
    cells = [f"{parameters / 1e6:.2f}"]
    cells += [f"{total / n / 1e6:.2f}" for total, n in zip(flop, SIZES, strict=True)]
    cells += [f"{exponent(flop):.2f}", *(f"{one:.0f}" for one in grown)]
    return f"| {name} | " + " | ".join(cells) + " |"


def exponent(values: list[float]) -> float:
    """Of N, between the two largest bags."""
    return log(values[-1] / values[-2]) / log(SIZES[-1] / SIZES[-2])


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(key)).split()[1])


def main() -> None:
    """Print the table."""
    flop = " | ".join(f"MFLOP/patch, N = {n:,}" for n in SIZES)
    grown = " | ".join(f"MB, N = {n:,}" for n in SIZES)
    print(f"| method | parameters, M | {flop} | growth | {grown} |")
    print("| --- |" + " ---: |" * (2 + 2 * len(SIZES)))
    for name in sys.argv[1:] or METHODS.names():
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
