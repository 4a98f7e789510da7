"""Nystrom attention on the padded sequence: masks, and the defect of release 0.0.9.

The literal form of :mod:`mil_bench.nn.nystrom`, which is its oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.nystrom import NystromAttention


class PaddedFactors(NamedTuple):
    """``F1 (h, n', m)``, ``Z (h, m, m)``, ``F3 (h, m, n')``, ``v (h, n', d)``, padded to ``n'``."""

    f1: Tensor
    inverse: Tensor
    f3: Tensor
    v: Tensor


class PaddedNystromAttention(NystromAttention):
    """The same parameters and function, one sequence after the other, with an optional mask."""

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Attend within each sequence: ``(sum n, dim)`` -> the same shape."""
        return torch.cat([self.sequence(rows) for rows in x.split_with_sizes(list(sizes))])

    def sequence(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within one sequence ``(n, dim)``.

        ``mask`` ``(n,)`` is true at the tokens to attend to.
        """
        f1, inverse, f3, v = self.padded_factors(x, mask)
        with as_written(x):
            mixed = self.join(f1 @ (inverse @ (f3 @ v))) + self.convolve(self.join(v))
        return self.kept(self.merge(mixed[0]), len(x))

    def kept(self, rows: Tensor, n: int) -> Tensor:
        """Return the ``n`` tokens' rows of the padded output."""
        return rows[-n:]  # padding is in front; releases from 0.0.10 on

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Return the first tokens' outputs ``(B, dim)`` and rows of ``F1 Z F3``."""
        sequences = x.split_with_sizes(list(sizes))
        attention = []
        for rows in sequences:
            f1, inverse, f3, _ = self.padded_factors(rows)
            # Columns behind the padding.
            attention.append((f1[:, [-len(rows)]] @ inverse @ f3)[:, 0, -len(rows) :])
        return torch.stack([self.sequence(rows)[0] for rows in sequences]), attention

    def padded_factors(self, x: Tensor, mask: Tensor | None = None) -> PaddedFactors:
        """Return the three factors and the values of the padded sequence, in float32 or more."""
        group = -(-len(x) // self.landmarks)  # rows per landmark, rounded up
        pad = group * self.landmarks - len(x)
        # Behind the caller's LayerNorm: zero rows have q = k = v = 0 because qkv has no bias.
        qkv = full_precision(self.qkv(F.pad(x, (0, 0, pad, 0))))
        with as_written(x):
            q, k, v = (self.split(part[None]) for part in qkv.chunk(3, -1))
            q = q * q.shape[-1] ** -0.5
            keep = x.new_ones(q.shape[1], dtype=torch.bool)
            count = q.new_full((self.landmarks, 1), group)  # zero rows count in the means
            if mask is not None:
                keep = F.pad(mask, (pad, 0))
                q, k, v = (t * keep[:, None] for t in (q, k, v))
                # The release's guard: a landmark may have no token.
                count = keep.view(-1, group).sum(1, keepdim=True).to(q.dtype) + 1e-8
            grouped = (self.heads, self.landmarks, group, -1)
            q_marks, k_marks = (t.reshape(grouped).sum(2) / count for t in (q, k))  # (heads, m, d)
            marks = keep.view(-1, group).any(1)  # landmarks with a token
            kernel = _masked_softmax(q_marks @ k_marks.mT, marks, marks)
            return PaddedFactors(
                _masked_softmax(q @ k_marks.mT, keep, marks),
                pseudo_inverse(kernel, self.iterations),
                _masked_softmax(q_marks @ k.mT, marks, keep),
                v,
            )


class NystromAttention009(PaddedNystromAttention):
    """Release 0.0.9, which kept the first rows: every output is shifted against its token."""

    def kept(self, rows: Tensor, n: int) -> Tensor:
        """Return the first ``n`` rows, most of them outputs of padding in short sequences."""
        return rows[:n]


def pseudo_inverse(kernel: Tensor, iterations: int) -> Tensor:
    """Iterate the pseudo-inverse of ``A (h, m, m)``, with one scale for all heads.

    Razavi et al., 2014.
    """
    # Z = c A^T, 1 / c as in the release.
    z = kernel.mT / (kernel.sum(-1).amax() * kernel.sum(-2).amax())
    identity = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    for _ in range(iterations):
        az = kernel @ z
        z = z @ (13 * identity - az @ (15 * identity - az @ (7 * identity - az))) / 4
    return z


def _masked_softmax(scores: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    allowed = rows[:, None] & columns
    # Not -inf: a row without any token would be NaN.
    return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1)
