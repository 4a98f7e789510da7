"""Nystrom self-attention (Xiong et al., AAAI 2021) as nystrom-attention 0.0.14 computes it.

``F1 Z F3 v`` with ``F1 = softmax(q K^T)``, ``F3 = softmax(Q k^T)`` and ``Z`` the iterated
pseudo-inverse of ``A = softmax(Q K^T)``; the ``m`` landmarks ``Q, K`` are means over consecutive
rows of the sequence, which is zero-padded at the front to a multiple of ``m`` and not masked.

The mathematics is in :mod:`mil_bench.nn.landmark_attention`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.nn.casting import as_written, full_precision
from mil_bench.nn.depthwise import depthwise
from mil_bench.nn.dropout import Dropout
from mil_bench.nn.landmark_attention import LandmarkAttention
from mil_bench.nn.landmarks import Layout
from mil_bench.nn.sequences import equal_runs, pack, unpack


class NystromAttention(nn.Module):
    """Attention within packed sequences, with a depthwise convolution of the values added."""

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        landmarks: int = 256,
        iterations: int = 6,
        kernel: int = 33,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.landmarks, self.iterations = heads, landmarks, iterations
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.residual = nn.Conv2d(
            heads, heads, (kernel, 1), padding=(kernel // 2, 0), groups=heads, bias=False
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """``(sum n, dim)`` -> ``(sum n, dim)``: packed sequences of ``sizes`` rows."""
        layouts, runs = self.lay_out(x, sizes)
        mixed = []
        for layout, rows in zip(layouts, unpack(self.qkv(pack(runs)), runs), strict=True):
            with as_written(x):
                q, k, v = full_precision(rows).chunk(3, -1)
                attention = LandmarkAttention(layout, self.heads, self.iterations)
                attended = attention.all_rows(*(self.split(part) for part in (q, k, v)))
                mixed.append(self.join(attended) + self.convolve(v[:, layout.lead :]))
        return self.merge(pack(mixed))

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Outputs of the first tokens ``(B, dim)``; their rows of ``F1 Z F3``, ``(heads, n)`` each.

        Nothing else of the output is computed: queries are those of the landmarks and the first
        tokens, and values are averaged before they are projected.
        """
        layouts, runs = self.lay_out(x, sizes)
        to_q, to_k, to_v = self.qkv.weight.chunk(3)
        marks = [layout.means(rows) for layout, rows in zip(layouts, runs, strict=True)]
        firsts = [rows.narrow(1, lay.lead, 1) for lay, rows in zip(layouts, runs, strict=True)]
        queries, q_marks, keys = (
            unpack(F.linear(pack(some), weight), some)
            for some, weight in ((firsts, to_q), (marks, to_q), (runs, to_k))
        )
        attention: list[Tensor] = []
        means = []
        for i, (layout, rows) in enumerate(zip(layouts, runs, strict=True)):
            with as_written(x):
                heads = (self.split(full_precision(part[i])) for part in (queries, q_marks, keys))
                row = LandmarkAttention(layout, self.heads, self.iterations).one_row(*heads)
                row = row.view(len(rows), self.heads, -1)
                attention += row.unbind()
                weights = row + self.nearest(row.shape[-1])
                means.append(weights @ full_precision(rows[:, layout.lead :]))
        values = torch.cat(means).transpose(0, 1)  # (heads, B, dim)
        mixed = values @ to_v.view(self.heads, -1, x.shape[1]).mT
        return self.merge(mixed.transpose(0, 1).flatten(1)), attention

    def lay_out(self, x: Tensor, sizes: Sequence[int]) -> tuple[list[Layout], list[Tensor]]:
        """Runs of equal sequences, each with one zero row in front if it is padded."""
        runs = equal_runs(x, sizes)
        layouts = [Layout.of(rows.shape[1], self.landmarks) for rows in runs]
        led = [F.pad(rows, (0, 0, lay.lead, 0)) for lay, rows in zip(layouts, runs, strict=True)]
        return layouts, led

    def split(self, x: Tensor) -> Tensor:
        """``(g, n, dim)`` -> ``(g * heads, n, dim / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2).flatten(0, 1)

    def join(self, x: Tensor) -> Tensor:
        """``(g * heads, n, d)`` -> ``(g, n, dim)``."""
        return x.view(-1, self.heads, *x.shape[1:]).transpose(1, 2).flatten(2)

    def convolve(self, v: Tensor) -> Tensor:
        """Convolution of the values along every sequence, ``(g, n, dim)`` unchanged."""
        taps = self.residual.weight.repeat_interleave(v.shape[-1] // self.heads, 0)
        return depthwise(v.unsqueeze(2), taps).squeeze(2)

    def nearest(self, n: int) -> Tensor:
        """``(heads, n)``: the weights of the values in the first token's convolution."""
        taps = self.residual.weight[:, 0, self.residual.kernel_size[0] // 2 :, 0]
        return F.pad(taps, (0, n - taps.shape[1]))

    def merge(self, heads: Tensor) -> Tensor:
        """``(n, dim)`` -> ``(n, dim)``: output projection of the joined heads."""
        rows: Tensor = self.dropout(self.out(heads))
        return rows
