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


class NystromAttention(nn.Module):
    """Attention over one sequence, with a depthwise convolution of the values added."""

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

    def forward(self, x: Tensor) -> Tensor:
        """``(n, dim)`` -> ``(n, dim)``."""
        q, k, v = self.split(x)
        f1, inverse, f3 = self.factors(q, q, k)
        return self.merge(f1 @ (inverse @ (f3 @ v)) + self.convolve(v))

    def first_row(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output of the first token ``(dim,)`` and its row of ``F1 Z F3``, ``(heads, n)``."""
        q, k, v = self.split(x)
        f1, inverse, f3 = self.factors(q[:, :1], q, k)
        attention = f1 @ inverse @ f3  # (heads, 1, n)
        reach = v[:, : self.residual.kernel_size[0]]
        return self.merge(attention @ v + self.convolve(reach)[:, :1])[0], attention[:, 0]

    def factors(self, rows: Tensor, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``F1 (h, len(rows), r)`` of the query ``rows``, ``Z (h, r, r)`` and ``F3 (h, r, n)``.

        ``r`` counts the landmarks with the all-zero ones as one.
        """
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
        inverse = pseudo_inverse(kernel, weight, self.iterations)
        return f1 / weight, inverse, weight[:, None] * f3

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(n, dim)`` -> scaled queries, keys and values, ``(heads, n, dim / heads)`` each."""
        q, k, v = self.qkv(x).view(len(x), 3, self.heads, -1).permute(1, 2, 0, 3)
        return q * q.shape[-1] ** -0.5, k, v

    def convolve(self, v: Tensor) -> Tensor:
        """Depthwise convolution of the values along the sequence, ``(heads, n, d)`` unchanged.

        Channels last, because in the other layout oneDNN's float32 weight gradient is wrong by
        some per cent at every length 15 i + 1 from 46 on (torch 2.15 on CPU).
        """
        image = v[None].contiguous(memory_format=torch.channels_last)
        rows: Tensor = self.residual(image)[0]
        return rows

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
    """Iterated pseudo-inverse (Razavi et al., 2014) of ``A (h, r, r)``, rows weighted ``(r,)``.

    ``Z <- Z/4 (13 I - A Z (15 I - A Z (7 I - A Z)))`` from ``A^T / (largest row sum * largest
    column sum)`` with both maxima over all heads; ``weight`` gives the sums of the full matrix.
    Never in half precision, where a badly conditioned ``A`` overflows.
    """
    with torch.autocast(kernel.device.type, enabled=False):
        row_sums, column_sums = kernel @ weight / weight, weight @ kernel / weight
        z = kernel.mT / (row_sums.amax() * column_sums.amax())
        one = torch.eye(len(weight), dtype=kernel.dtype, device=kernel.device)
        for _ in range(iterations):
            az = kernel @ z
            z = z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4
        return z
