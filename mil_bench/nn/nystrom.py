"""Nystrom self-attention (Xiong et al., AAAI 2021) as nystrom-attention 0.0.14 computes it.

``F1 Z F3 v`` with ``F1 = softmax(q K^T)``, ``F3 = softmax(Q k^T)`` and ``Z`` the iterated
pseudo-inverse of ``softmax(Q K^T)``, where the landmarks ``Q, K`` are means over consecutive rows.
The sequence is zero-padded at the front to a multiple of the landmarks; padding is not masked.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Factors(NamedTuple):
    """``F1 (h, n', m)``, ``Z (h, m, m)``, ``F3 (h, m, n')``, ``v (h, n', d)``, padded to ``n'``."""

    f1: Tensor
    inverse: Tensor
    f3: Tensor
    v: Tensor


class NystromAttention(nn.Module):
    """Attention over one sequence ``(n, dim)``, with a depthwise convolution of the values added.

    ``heads`` of ``dim / heads`` each. ``keep="first"`` is the defect of release 0.0.9, which
    returned the first ``n`` rows of the padded sequence instead of the last.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        landmarks: int = 256,
        iterations: int = 6,
        kernel: int = 33,
        dropout: float = 0.0,
        keep: Literal["first", "last"] = "last",
    ) -> None:
        super().__init__()
        self.heads, self.landmarks, self.iterations = heads, landmarks, iterations
        self.keep = keep
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.residual = nn.Conv2d(
            heads, heads, (kernel, 1), padding=(kernel // 2, 0), groups=heads, bias=False
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(n, dim)`` -> ``(n, dim)``. ``mask`` ``(n,)`` is true at the tokens to attend to."""
        f1, inverse, f3, v = self.factors(x, mask)
        rows = self.merge(f1 @ (inverse @ (f3 @ v)) + self.convolve(v))
        return rows[-len(x) :] if self.keep == "last" else rows[: len(x)]

    def first_row(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output of the first token ``(dim,)`` and its row of ``F1 Z F3``, ``(heads, n)``."""
        f1, inverse, f3, _ = self.factors(x)
        token = f3.shape[-1] - len(x)
        return self(x)[0], (f1[:, token : token + 1] @ inverse @ f3)[:, 0, token:]

    def factors(self, x: Tensor, mask: Tensor | None = None) -> Factors:
        """The three factors and the values of the padded sequence."""
        group = -(-len(x) // self.landmarks)
        pad = group * self.landmarks - len(x)
        q, k, v = self.split(F.pad(x, (0, 0, pad, 0)))
        keep = x.new_ones(len(q[0]), dtype=torch.bool)
        count: Tensor | float = group
        if mask is not None:
            keep = F.pad(mask, (pad, 0))
            q, k, v = (t * keep[:, None] for t in (q, k, v))
            count = keep.view(-1, group).sum(1)[:, None].to(x.dtype) + 1e-8
        q_marks, k_marks = (t.unflatten(1, (-1, group)).sum(2) / count for t in (q, k))
        marks = keep.view(-1, group).any(1)
        return Factors(
            _masked_softmax(q @ k_marks.mT, keep, marks),
            pseudo_inverse(_masked_softmax(q_marks @ k_marks.mT, marks, marks), self.iterations),
            _masked_softmax(q_marks @ k.mT, marks, keep),
            v,
        )

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(n, dim)`` -> scaled queries, keys and values, ``(heads, n, dim / heads)`` each."""
        q, k, v = self.qkv(x).unflatten(1, (3, self.heads, -1)).permute(1, 2, 0, 3)
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


def pseudo_inverse(kernel: Tensor, iterations: int) -> Tensor:
    """Iterated pseudo-inverse of ``(h, m, m)`` with the maxima at the start over all heads."""
    scale = kernel.sum(-1).amax() * kernel.sum(-2).amax()
    z = kernel.mT / scale
    for _ in range(iterations):
        z = newton_step(kernel, z)
    return z


def newton_step(kernel: Tensor, z: Tensor) -> Tensor:
    """``Z/4 (13 I - A Z (15 I - A Z (7 I - A Z)))`` for ``A = kernel``."""
    one = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    az = kernel @ z
    return z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4


def _masked_softmax(scores: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    allowed = rows[:, None] & columns
    return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1)
