"""Attention through landmarks, ``F1 Z F3 v``, of equal sequences: Xiong et al., AAAI 2021.

``F1 = softmax(q K^T)``, ``F3 = softmax(Q k^T)`` and ``Z`` the iterated pseudo-inverse of
``A = softmax(Q K^T)``, with landmarks ``Q, K``. Tensors are ``(b, rows, d)``, where ``b`` runs over
the heads of ``g`` sequences. The first row stands for the zero rows of the padding, if there are
any (:mod:`mil_bench.nn.landmarks`).

Over the ``z`` landmarks of padding alone all matrices are constant. They act on the subspace
spanned by the unit vector ``(1, ..., 1) / sqrt(z)`` and the other landmarks, so one row and one
column of weight ``sqrt(z)`` stand for the ``z``, and the iteration runs on ``(m - z + 1)^2``
numbers, exactly. A sequence of at most ``m`` rows is its own landmarks: then ``F1`` and ``F3`` are
rows and columns of ``A``, and ``A Z`` is applied as one iterated projection.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.nn.landmarks import Layout, log_counts
from mil_bench.nn.newton import inverse_times, projection_times


class Kernel(NamedTuple):
    """``matrix = sqrt(c) A (b, r, r)`` in the weighted basis, with ``root = sqrt(c) (b, 1, 1)``.

    ``c`` is the initial scale of the iteration, one of each sequence; ``weight (r, 1)`` holds the
    root of every landmark's count.
    """

    matrix: Tensor
    root: Tensor
    weight: Tensor


class LandmarkAttention(NamedTuple):
    """How sequences of one layout attend: ``heads`` each, ``iterations`` of the pseudo-inverse."""

    layout: Layout
    heads: int
    iterations: int

    def all_rows(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``F1 Z F3 v``: ``(b, lead + n, d)`` each -> ``(b, n, d)``."""
        layout = self.layout
        q_marks, k_marks = layout.means(q), layout.means(k)
        matrix, root, weight = self.kernel(q_marks, k_marks)
        if layout.group == 1:
            mixed = projection_times(matrix, torch.bmm(matrix, v), self.iterations)
            return (mixed / root)[:, layout.lead :]
        mixed = weight * torch.bmm(softmax(q_marks, k, layout.pad), v)
        # K^T first: where K is small the inverse is large, and rounding errors would grow with it.
        mixed = inverse_times(matrix.mT, torch.bmm(matrix.mT, mixed), self.iterations)
        return torch.bmm(softmax(q[:, layout.lead :], k_marks, layout.zeros), mixed * root / weight)

    def one_row(self, q: Tensor, q_marks: Tensor, k: Tensor) -> Tensor:
        """``(b, 1, n)``: the rows of ``F1 Z F3`` of the first tokens, whose queries are ``q``."""
        layout = self.layout
        k_marks = layout.means(k)
        matrix, root, weight = self.kernel(q_marks, k_marks)
        if layout.group == 1:
            first = torch.zeros_like(matrix[:, :, :1])
            first[:, layout.lead] = 1
            row = projection_times(matrix, first, self.iterations)
            return (torch.bmm(row.mT, matrix) / root)[..., layout.lead :]
        f1 = softmax(q, k_marks, layout.zeros) / weight.mT
        row = inverse_times(matrix, torch.bmm(matrix, f1.mT), self.iterations) * root * weight
        return torch.bmm(row.mT, softmax(q_marks, k, layout.pad))[..., layout.lead :]

    def kernel(self, q_marks: Tensor, k_marks: Tensor) -> Kernel:
        """Of landmarks ``(b, r, d)``.

        Rows of ``A`` sum to one, so ``1 / c`` is the largest column sum over a sequence's heads.
        """
        a = softmax(q_marks, k_marks, self.layout.zeros)
        count = log_counts(self.layout.zeros, k_marks).exp()
        column_sums = count @ a / count  # of the full matrix
        root = column_sums.view(-1, self.heads * len(count)).amax(1).rsqrt()
        root = root.repeat_interleave(self.heads)[:, None, None]
        weight = count.sqrt()[:, None]
        return Kernel(a * (weight / weight.mT) * root, root, weight)


def softmax(q: Tensor, k: Tensor, count: int) -> Tensor:
    """``(b, l, d)`` and ``(b, s, d)`` -> weights ``(b, l, s)``; the first key counts ``count``.

    The logarithm of the count is one more feature of the keys, so no pass over the scores adds it.
    """
    q = F.pad(q * q.shape[-1] ** -0.5, (0, 1), value=1.0)
    k = torch.cat([k, log_counts(count, k)[:, None].expand(len(k), -1, 1)], 2)
    return torch.bmm(q, k.mT).softmax(-1)
