"""How fast this machine multiplies and reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional as F

from mil_bench.contract.spec import Precision
from mil_bench.nn.precision import feature_type

ROWS: Final = {"cpu": 3000, "cuda": 2**17}  # patches through a layer 1024 -> 512
STREAM_BYTES: Final = {"cpu": 2**28, "cuda": 2**32}  # larger than any cache, longer than a launch
REPEATS = 5


@dataclass(frozen=True)
class Rates:
    """FLOP/s of matrix products at each precision; bytes/s of reading."""

    flops: Mapping[Precision, float]
    bytes: float


class Machine:
    """Measures the rates in a separate process; it takes a turn in every round."""

    def __init__(self, precisions: Sequence[Precision], threads: int, device: str = "cpu") -> None:
        torch.set_num_threads(threads)
        self.device, self.precisions = torch.device(device), precisions
        self.stream = torch.ones(STREAM_BYTES[device] // 4, device=self.device)

    def rates(self) -> Rates:
        """Return rates now."""
        seconds = self._fastest(self.stream.sum)
        return Rates({p: self.flop_rate(p) for p in self.precisions}, self.stream.nbytes / seconds)

    def flop_rate(self, precision: Precision) -> float:
        """Return FLOP/s of a large matrix product with the better of PyTorch's and oneDNN's
        kernels.
        """
        rows, inner, columns = ROWS[self.device.type], 1024, 512
        dtype = feature_type(precision)
        x = torch.randn(rows, inner, device=self.device, dtype=dtype)
        w = torch.randn(columns, inner, device=self.device, dtype=dtype)
        kernels: list[Callable[[], Any]] = [lambda: F.linear(x, w)]
        if self.device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            product = torch.ops.mkldnn._linear_pointwise
            kernels.append(lambda: product(x, w, None, "none", [], ""))
        # oneDNN of older torch has no bfloat16 product for CPUs without instructions for it.
        seconds = min(self._fastest(kernel) for kernel in kernels if _runs(kernel))
        return 2 * rows * inner * columns / seconds

    def _fastest(self, work: Callable[[], Any]) -> float:
        """Seconds of the fastest of several repeats after one that does not count."""
        times = []
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            work()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            times.append(time.perf_counter() - start)
        return min(times[1:])


def _runs(kernel: Callable[[], Any]) -> bool:
    try:
        kernel()
    except RuntimeError:
        return False
    return True
