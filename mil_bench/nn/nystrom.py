"""Nystrom self-attention (Xiong et al., AAAI 2021) as nystrom-attention 0.0.14 computes it.

``F1 Z F3 v`` with ``F1 = softmax(q K^T)``, ``F3 = softmax(Q k^T)`` and ``Z`` the iterated
pseudo-inverse of ``A = softmax(Q K^T)``; the ``m`` landmarks ``Q, K`` are means over consecutive
rows. The sequence is zero-padded at the front to a multiple of ``m``, and padding is not masked.

No padded row is ever built here. Where ``z`` landmarks are means of padding alone, all matrices are
constant over those ``z`` rows and columns. They act on the subspace spanned by the unit vector
``(1, ..., 1) / sqrt(z)`` and the other landmarks, so one row and one column of weight ``sqrt(z)``
stand for the ``z``, and the iteration runs on ``(m - z + 1)^2`` numbers, exactly. Padded keys have
score 0 and value 0: one more term of a softmax denominator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Layout(NamedTuple):
    """Padding of ``n`` rows: ``group`` rows per landmark, ``pad`` zero rows in front.

    The first ``zeros`` landmarks hold padding only, the next one holds ``partial`` rows of it.
    """

    group: int
    pad: int
    zeros: int
    partial: int

    @classmethod
    def of(cls, n: int, landmarks: int) -> Layout:
        """The layout of a sequence of ``n`` rows."""
        group = -(-n // landmarks)
        pad = group * landmarks - n
        return cls(group, pad, *divmod(pad, group))


class Factors(NamedTuple):
    """``F1 (h, rows, r)``, ``A (h, r, r)``, ``F3 (h, r, n)`` and the landmarks' ``weight (r,)``.

    ``r`` counts the landmarks with the all-zero ones as one; ``F1 A^+ F3`` is the attention.
    """

    f1: Tensor
    kernel: Tensor
    f3: Tensor
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
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """``(sum n, dim)`` -> ``(sum n, dim)``: packed sequences of ``sizes`` rows."""
        packed = self.split(x)
        values = packed[2].split_with_sizes(list(sizes), 1)
        factors = [self.factors(q, q, k) for q, k in self.queries(packed, sizes)]
        mixed = [
            one.f1 @ (inverse @ (one.f3 @ v))
            for one, inverse, v in zip(factors, self.inverses(factors), values, strict=True)
        ]
        return self.merge(torch.cat(mixed, 1) + self.convolve(packed[2], sizes))

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Outputs of the first tokens ``(B, dim)``; their rows of ``F1 Z F3``, ``(heads, n)`` each.

        Nothing else of the output is computed.
        """
        packed = self.split(x)
        values = packed[2].split_with_sizes(list(sizes), 1)
        factors = [self.factors(q[:, :1], q, k) for q, k in self.queries(packed, sizes)]
        attention = [
            one.f1 @ inverse @ one.f3
            for one, inverse in zip(factors, self.inverses(factors), strict=True)
        ]
        kernel = self.residual.weight[:, 0, self.residual.kernel_size[0] // 2 :]  # (h, reach, 1)
        near = [kernel[:, : v.shape[1]].mT @ v[:, : kernel.shape[1]] for v in values]
        mixed = [a @ v + c for a, v, c in zip(attention, values, near, strict=True)]
        return self.merge(torch.cat(mixed, 1)), [a[:, 0] for a in attention]

    def queries(
        self, packed: tuple[Tensor, Tensor, Tensor], sizes: Sequence[int]
    ) -> list[tuple[Tensor, Tensor]]:
        """Queries and keys of every sequence."""
        q, k = (part.split_with_sizes(list(sizes), 1) for part in packed[:2])
        return list(zip(q, k, strict=True))

    def inverses(self, factors: Sequence[Factors]) -> list[Tensor]:
        """``Z (h, r, r)`` of every sequence, iterated together.

        Smaller matrices are filled up with zeros, which the iteration keeps.
        """
        ranks = [len(one.weight) for one in factors]
        short = [max(ranks) - rank for rank in ranks]
        kernel = torch.stack(
            [F.pad(o.kernel, (0, s, 0, s)) for o, s in zip(factors, short, strict=True)]
        )
        weight = torch.stack(
            [F.pad(o.weight, (0, s), value=1.0) for o, s in zip(factors, short, strict=True)]
        )
        z = pseudo_inverse(kernel, weight, self.iterations)
        return [one[:, :rank, :rank] for one, rank in zip(z, ranks, strict=True)]

    def factors(self, rows: Tensor, q: Tensor, k: Tensor) -> Factors:
        """The factors of one sequence for the query ``rows``."""
        layout = Layout.of(q.shape[1], self.landmarks)
        q_marks, k_marks = landmark_means(q, layout), landmark_means(k, layout)
        if layout.zeros:
            q_marks = F.pad(q_marks, (0, 0, 1, 0))
        f1 = softmax_with_zeros(rows @ k_marks.mT, layout.zeros)
        kernel = softmax_with_zeros(q_marks @ k_marks.mT, layout.zeros)
        f3 = softmax_with_zeros(q_marks @ k.mT, layout.pad)[..., -k.shape[1] :]
        weight = kernel.new_ones(kernel.shape[-1])
        if layout.zeros:
            weight[0] = math.sqrt(layout.zeros)
        kernel = weight[:, None] * kernel / weight
        return Factors(f1 / weight, kernel, weight[:, None] * f3, weight)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(n, dim)`` -> scaled queries, keys and values, ``(heads, n, dim / heads)`` each."""
        q, k, v = self.qkv(x).view(len(x), 3, self.heads, -1).permute(1, 2, 0, 3)
        return q * q.shape[-1] ** -0.5, k, v

    def convolve(self, v: Tensor, sizes: Sequence[int]) -> Tensor:
        """Depthwise convolution of the values along each sequence, ``(heads, sum n, d)`` unchanged.

        One convolution for all, with as many zeros between sequences as the kernel reaches.
        Channels last, because in the other layout oneDNN's float32 weight gradient is wrong by
        some per cent at every length 15 i + 1 from 46 on (torch 2.15 on CPU).
        """
        gap = self.residual.kernel_size[0] // 2
        spaced = torch.cat(
            [F.pad(one, (0, 0, 0, gap)) for one in v.split_with_sizes(list(sizes), 1)], 1
        )
        image = spaced[None].contiguous(memory_format=torch.channels_last)
        rows: Tensor = self.residual(image)[0]
        return torch.cat(
            [one[:, :-gap] for one in rows.split_with_sizes([n + gap for n in sizes], 1)], 1
        )

    def merge(self, heads: Tensor) -> Tensor:
        """``(heads, n, d)`` -> ``(n, dim)``: output projection of the joined heads."""
        rows: Tensor = self.dropout(self.out(heads.transpose(0, 1).flatten(1)))
        return rows


def landmark_means(x: Tensor, layout: Layout) -> Tensor:
    """``(h, n, d)`` -> ``(h, r, d)``: means over groups of rows, without the all-zero ones."""
    heads, _, d = x.shape
    return F.pad(x, (0, 0, layout.partial, 0)).reshape(heads, -1, layout.group, d).mean(2)


def softmax_with_zeros(scores: Tensor, zeros: int) -> Tensor:
    """Softmax over the last axis and ``zeros`` more entries of score 0.

    If there are any, the sum of their weights is the first column of the result.
    """
    if zeros:
        scores = F.pad(scores, (1, 0), value=math.log(zeros))
    return scores.softmax(-1)


def pseudo_inverse(kernel: Tensor, weight: Tensor, iterations: int) -> Tensor:
    """Iterated pseudo-inverse (Razavi et al., 2014) of ``A (B, h, r, r)``, weights ``(B, r)``.

    ``Z <- Z/4 (13 I - A Z (15 I - A Z (7 I - A Z)))`` from ``A^T / (largest row sum * largest
    column sum)`` with both maxima over the heads of each item; ``weight`` gives the sums of the
    full matrix.
    Never in half precision, where a badly conditioned ``A`` overflows.
    """
    with torch.autocast(kernel.device.type, enabled=False):
        weight = weight[:, None, :, None]  # (B, 1, r, 1)
        row_sums, column_sums = kernel @ weight / weight, kernel.mT @ weight / weight
        largest = row_sums.amax((1, 2, 3)) * column_sums.amax((1, 2, 3))
        z = kernel.mT / largest[:, None, None, None]
        one = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
        for _ in range(iterations):
            az = kernel @ z
            z = z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4
        return z
