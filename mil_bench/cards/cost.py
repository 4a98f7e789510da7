"""What a method costs on whole slides: parameters, operations per patch, growth with N.

Default configuration, 1,024 features, seven classes in three groups, one bag. FLOP: a multiply-add
is two, products of matrices and convolutions only, forward pass (torch's counter). Growth: the
exponent of N in all FLOP, between the two largest bags; one is linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import with_edges
from mil_bench.contract.method import Method

DIM = 1024
SIZES = (1024, 4096, 16384)
TREE = Taxonomy.from_tree("seven", {"a": ["0", "1", "2"], "b": ["3", "4"], "c": ["5", "6"]})
HEADER = ("parameters, M", "MFLOP/patch, N = 1,024", "4,096", "16,384", "growth")


def bag_of(n: int) -> BagBatch:
    """Return one labelled bag on a square of tiles."""
    torch.manual_seed(0)
    places = torch.arange(n)
    coords = torch.stack([places % 128, places // 128], 1) * 256.0
    labels = {level: torch.zeros(1, dtype=torch.int64) for level in TREE.levels}
    return BagBatch.pack([torch.randn(n, DIM)], [coords], labels)


def build(method: type[Method]) -> Method:
    """Return the method as it is by default."""
    torch.manual_seed(0)
    return method(method.Config(), DIM, TREE)


def fused(query: torch.Size, key: torch.Size, *_: Any, **__: Any) -> int:
    """Return FLOP of the CPU's fused attention, which older releases of torch do not count."""
    batch, heads, rows, width = query
    return 4 * batch * heads * rows * width * key[2]  # scores and weighted values


def operations(method: type[Method], n: int) -> float:
    """Return FLOP of a forward pass over a bag of ``n``."""
    model = build(method).eval().requires_grad_(False)  # no_grad alone trips it on views
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(display=False, custom_mapping={kernel: fused})
    with counter, sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # no matrix of N x N
        model(with_edges(bag_of(n), model.neighbours))
    return float(counter.get_total_flops())


def cells(method: type[Method]) -> list[str]:
    """Return the numbers of :data:`HEADER`."""
    parameters = sum(p.numel() for p in build(method).parameters() if p.requires_grad)
    flop = [operations(method, n) for n in SIZES]
    per_patch = [f"{total / n / 1e6:.2f}" for total, n in zip(flop, SIZES, strict=True)]
    # In the units of HEADER.
    return [f"{parameters / 1e6:.2f}", *per_patch, f"{exponent(flop):.2f}"]


def exponent(flop: Sequence[float]) -> float:
    """Return the exponent of N between the two largest bags; 0 where nothing is counted."""
    if not flop[-2]:
        return 0.0
    return log(flop[-1] / flop[-2]) / log(SIZES[-1] / SIZES[-2])
