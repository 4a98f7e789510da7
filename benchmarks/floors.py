"""The physical floor of an epoch: its multiplications at the machine's rate, or its reading.

FLOPs are those of the plain mathematics, counted by PyTorch on tensors without content: matrix
products and convolutions of forward and backward. The features need no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contestants import Entry
from benchmarks.machine import Rates
from benchmarks.plain import plain
from benchmarks.station import Mode
from benchmarks.workloads import TREE
from mil_bench.nn.precision import feature_type


@dataclass(frozen=True)
class Floor:
    """Least seconds for ``flops`` and ``bytes`` at the measured rates (per second)."""

    flops: float
    bytes: float
    flop_rate: float
    byte_rate: float

    @property
    def seconds(self) -> float:
        """The slower of multiplying and reading; the other hides behind it."""
        return max(self.flops / self.flop_rate, self.bytes / self.byte_rate)


def epoch_floor(entry: Entry, mode: Mode, sizes: Sequence[int], rates: Sequence[Rates]) -> Floor:
    """Return the floor of a pass over bags of ``sizes`` at the median of the rates seen in
    a race.
    """
    dim = entry.workload.dim
    return Floor(
        flops=sum(bag_flops(entry.method, dim, size, mode) for size in sizes),
        bytes=sum(sizes) * dim * feature_type(entry.precision).itemsize,
        flop_rate=median(rate.flops[entry.precision] for rate in rates),
        byte_rate=median(rate.bytes for rate in rates),
    )


@cache
def bag_flops(method: str, dim: int, size: int, mode: Mode) -> int:
    """Return FLOPs of one bag, one multiplication and addition counted as two."""
    model = plain(method).build(dim, TREE).to("meta")
    x = torch.empty(size, dim, device="meta")
    with FlopCounterMode(display=False) as counter:
        if mode == "train":
            model.loss(model(x), 0).backward()  # type: ignore[no-untyped-call]
        else:
            with torch.inference_mode():
                model.eval()(x)
    return int(counter.get_total_flops())
