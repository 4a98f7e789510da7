"""Nystrom self-attention (Xiong et al., AAAI 2021) as nystrom-attention 0.0.14 computes it.

``F1 Z F3 v`` with ``F1 = softmax(q K^T)``, ``F3 = softmax(Q k^T)`` and ``Z`` the iterated
pseudo-inverse of ``A = softmax(Q K^T)``; the ``m`` landmarks ``Q, K`` are means over consecutive
rows of the sequence, which is zero-padded at the front to a multiple of ``m`` and not masked.

Padding is one row with a count (:mod:`mil_bench.nn.landmarks`). Over the ``z`` landmarks of
padding alone all matrices are constant. They act on the subspace spanned by the unit vector
``(1, ..., 1) / sqrt(z)`` and the other landmarks, so one row and one column of weight ``sqrt(z)``
stand for the ``z``, and the iteration runs on ``(m - z + 1)^2`` numbers, exactly. A sequence of at
most ``m`` rows is its own landmarks: then ``F1`` and ``F3`` are rows and columns of ``A``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.nn.casting import as_written, full_precision
from mil_bench.nn.depthwise import depthwise
from mil_bench.nn.dropout import Dropout
from mil_bench.nn.landmarks import Layout, log_counts
from mil_bench.nn.newton import inverse_times, projection_times
from mil_bench.nn.sequences import equal_runs, pack, unpack


class Kernel(NamedTuple):
    """``matrix = sqrt(c) A (b, r, r)`` in the weighted basis, with ``root = sqrt(c) (b, 1, 1)``.

    ``c`` is the initial scale of the iteration, one of each sequence; ``weight (r, 1)`` the root
    of every landmark's count; ``b`` counts the heads of all sequences.
    """

    matrix: Tensor
    root: Tensor
    weight: Tensor


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
                mixed.append(self.attend(q, k, v, layout) + self.convolve(v[:, layout.lead :]))
        return self.merge(pack(mixed))

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Outputs of the first tokens ``(B, dim)``; their rows of ``F1 Z F3``, ``(heads, n)`` each.

        Nothing else of the output is computed: no value is projected before it is averaged, and
        queries are those of the landmarks and the first tokens.
        """
        layouts, runs = self.lay_out(x, sizes)
        q_weight, k_weight, v_weight = self.qkv.weight.chunk(3)
        marks = [layout.means(one) for layout, one in zip(layouts, runs, strict=True)]
        firsts = [one[:, layout.lead] for layout, one in zip(layouts, runs, strict=True)]
        keys = unpack(F.linear(pack(runs), k_weight), runs)
        mark_queries = unpack(F.linear(pack(marks), q_weight), marks)
        queries = F.linear(torch.cat(firsts), q_weight).split([len(one) for one in firsts])
        attention, sums = [], []
        with as_written(x):
            for layout, one, q, q_marks, k in zip(
                layouts, runs, queries, mark_queries, keys, strict=True
            ):
                weights = self.attend_first(
                    *(full_precision(t) for t in (q, q_marks, k)), layout
                ).view(len(one), self.heads, -1)[..., layout.lead :]
                attention += weights.unbind()
                rows = full_precision(one[:, layout.lead :])
                sums.append((weights + self.nearest(weights.shape[-1])) @ rows)
        values = torch.cat(sums).transpose(0, 1)  # (heads, B, dim)
        mixed = values @ v_weight.view(self.heads, -1, v_weight.shape[-1]).mT
        return self.merge(mixed.transpose(0, 1).flatten(1)), attention

    def lay_out(self, x: Tensor, sizes: Sequence[int]) -> tuple[list[Layout], list[Tensor]]:
        """Runs of equal sequences, each with one zero row in front if it is padded."""
        runs = equal_runs(x, sizes)
        layouts = [Layout.of(one.shape[1], self.landmarks) for one in runs]
        led = [F.pad(one, (0, 0, lay.lead, 0)) for lay, one in zip(layouts, runs, strict=True)]
        return layouts, led

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
        """``F1 Z F3 v``: ``(g, lead + n, dim)`` each -> ``(g, n, dim)``."""
        kernel = self.kernel(layout.means(q), layout.means(k), layout)
        queries, keys, values = self.split(q), self.split(k), self.split(v)
        if layout.group == 1:
            mixed = torch.bmm(kernel.matrix, values)
            mixed = projection_times(kernel.matrix, mixed, self.iterations) / kernel.root
            return self.join(mixed[:, layout.lead :], len(q))
        marks = self.split(layout.means(q))
        mixed = kernel.weight * self.softmax(marks, keys, layout.pad) @ values
        transposed = kernel.matrix.mT
        mixed = inverse_times(transposed, torch.bmm(transposed, mixed), self.iterations)
        mixed = mixed * kernel.root / kernel.weight
        k_marks = self.split(layout.means(k))
        mixed = self.softmax(queries[:, layout.lead :], k_marks, layout.zeros) @ mixed
        return self.join(mixed, len(q))

    def attend_first(self, q: Tensor, q_marks: Tensor, k: Tensor, layout: Layout) -> Tensor:
        """``(b, 1, lead + n)``: the rows of ``F1 Z F3`` of the queries ``q (g, dim)``."""
        k_marks = layout.means(k)
        kernel = self.kernel(q_marks, k_marks, layout)
        if layout.group == 1:
            row = torch.zeros_like(kernel.matrix[:, :, :1])
            row[:, layout.lead] = 1
            row = projection_times(kernel.matrix, row, self.iterations)
            return torch.bmm(row.mT, kernel.matrix) / kernel.root
        row = self.softmax(self.split(q.unsqueeze(1)), self.split(k_marks), layout.zeros)
        row = torch.bmm(kernel.matrix, (row / kernel.weight.T).mT)
        row = inverse_times(kernel.matrix, row, self.iterations) * kernel.root * kernel.weight
        return torch.bmm(row.mT, self.softmax(self.split(q_marks), self.split(k), layout.pad))

    def kernel(self, q_marks: Tensor, k_marks: Tensor, layout: Layout) -> Kernel:
        """Of landmarks ``(g, r, dim)``.

        Rows of ``A`` sum to one, so ``1 / c`` is the largest column sum over all heads.
        """
        a = self.softmax(self.split(q_marks), self.split(k_marks), layout.zeros)
        counts = log_counts(layout.zeros, k_marks).exp()
        column_sums = counts @ a / counts  # of the full matrix
        root = column_sums.view(len(q_marks), -1).amax(1).rsqrt().repeat_interleave(self.heads)
        weight = counts.sqrt().unsqueeze(1)
        return Kernel(a * (weight / weight.T) * root[:, None, None], root[:, None, None], weight)

    def softmax(self, q: Tensor, k: Tensor, count: int) -> Tensor:
        """``(b, l, d)`` and ``(b, s, d)`` -> weights ``(b, l, s)``; ``count`` of the first key.

        The logarithm of the count is one more feature of the keys.
        """
        q = F.pad(q * q.shape[-1] ** -0.5, (0, 1), value=1.0)
        k = torch.cat([k, log_counts(count, k).view(1, -1, 1).expand(len(k), -1, 1)], 2)
        return torch.bmm(q, k.mT).softmax(-1)

    def split(self, x: Tensor) -> Tensor:
        """``(g, n, dim)`` -> ``(g * heads, n, dim / heads)``."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2).flatten(0, 1)

    def join(self, x: Tensor, g: int) -> Tensor:
        """``(g * heads, n, d)`` -> ``(g, n, dim)``."""
        return x.unflatten(0, (g, self.heads)).transpose(1, 2).flatten(2)

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
