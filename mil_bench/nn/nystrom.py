"""Nystrom self-attention (Xiong et al., AAAI 2021) as nystrom-attention 0.0.14 computes it.

``F1 Z F3 v`` with ``F1 = softmax(q K^T)``, ``F3 = softmax(Q k^T)`` and ``Z`` the iterated
pseudo-inverse of ``A = softmax(Q K^T)``. The ``m`` landmarks ``Q, K`` are means over consecutive
rows of the sequence. It is zero-padded at the front to a multiple of ``m`` and not masked.

No padding row is built, and only distinct landmarks take part: :class:`Layout` and
:class:`LandmarkAttention` explain how.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.kernels import pseudo_inverse
from mil_bench.nn.layers import Dropout
from mil_bench.nn.sequences import depthwise, equal_runs, pack, unpack
from mil_bench.nn.stock import computed_by


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
        # Order q, k, v; without bias, so zero rows stay zero.
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        # A filter per head along the sequence: the value residual of the release.
        self.residual = nn.Conv2d(
            heads, heads, (kernel, 1), padding=(kernel // 2, 0), groups=heads, bias=False
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Attend within packed sequences of ``sizes`` rows: ``(sum n, dim)`` -> the same shape."""
        layouts, runs = self.lay_out(x, sizes)
        mixed = []
        # One projection of all runs at once: its shape depends on the batch only.
        for layout, rows in zip(layouts, unpack(self.qkv(pack(runs)), runs), strict=True):
            with as_written(x):
                q, k, v = full_precision(rows).chunk(3, -1)
                attention = LandmarkAttention(layout, self.heads, self.iterations)
                attended = attention.all_rows(*(self.split(part) for part in (q, k, v)))
                # Values of padding are zero, as is the padding of the convolution, so it runs
                # without them.
                mixed.append(self.join(attended) + self.convolve(v[:, layout.lead :]))
        return self.merge(pack(mixed))

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Return the first tokens' outputs ``(B, dim)`` and rows of ``F1 Z F3`` ``(heads, n)``.

        Nothing else of the output is computed: queries are those of the landmarks and the first
        tokens, and values are averaged before they are projected.
        """
        layouts, runs = self.lay_out(x, sizes)
        to_q, to_k, to_v = self.qkv.weight.chunk(3)
        # Landmarks are means and the projections are linear without bias: means of x come first.
        marks = [layout.means(rows) for layout, rows in zip(layouts, runs, strict=True)]
        # (g, 1, dim)
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
                row = row.view(len(rows), self.heads, -1)  # (g, heads, n)
                attention += row.unbind()
                # The convolution is a weighted sum of values too, so one average serves both.
                weights = row + self.nearest(row.shape[-1])
                means.append(weights @ full_precision(rows[:, layout.lead :]))  # (g, heads, dim)
        values = torch.cat(means).transpose(0, 1)  # (heads, B, dim)
        # W_v sum a_i x_i = sum a_i W_v x_i: B rows per head are projected, not sum n.
        mixed = values @ to_v.view(self.heads, -1, x.shape[1]).mT
        return self.merge(mixed.transpose(0, 1).flatten(1)), attention

    def lay_out(self, x: Tensor, sizes: Sequence[int]) -> tuple[list[Layout], list[Tensor]]:
        """Return runs of equal sequences, each with one zero row in front if it is padded."""
        runs = equal_runs(x, sizes)
        layouts = [Layout.of(rows.shape[1], self.landmarks) for rows in runs]
        led = [F.pad(rows, (0, 0, lay.lead, 0)) for lay, rows in zip(layouts, runs, strict=True)]
        return layouts, led

    def split(self, x: Tensor) -> Tensor:
        """Return ``(g, n, dim)`` -> ``(g * heads, n, dim / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2).flatten(0, 1)

    def join(self, x: Tensor) -> Tensor:
        """Return ``(g * heads, n, d)`` -> ``(g, n, dim)``."""
        return x.view(-1, self.heads, *x.shape[1:]).transpose(1, 2).flatten(2)

    def convolve(self, v: Tensor) -> Tensor:
        """Convolve the values along every sequence: ``(g, n, dim)`` -> the same shape."""
        # One filter per head.
        taps = self.residual.weight.repeat_interleave(v.shape[-1] // self.heads, 0)
        return depthwise(v.unsqueeze(2), taps).squeeze(2)

    def nearest(self, n: int) -> Tensor:
        """Return ``(heads, n)``: the weights of the values in the first token's convolution."""
        # The token itself and those behind it; in front is padding.
        taps = self.residual.weight[:, 0, self.residual.kernel_size[0] // 2 :, 0]
        # Negative where the sequence is shorter than half a filter: cuts the filter.
        return F.pad(taps, (0, n - taps.shape[1]))

    def merge(self, heads: Tensor) -> Tensor:
        """Project the joined heads ``(n, dim)`` to the output ``(n, dim)``."""
        rows: Tensor = self.dropout(self.out(heads))
        return rows


class LandmarkAttention(NamedTuple):
    """``F1 Z F3 v`` of equal sequences: ``heads`` each, ``iterations`` of the pseudo-inverse.

    Tensors are ``(b, rows, d)``, where ``b`` runs over the heads of ``g`` sequences. The first row
    stands for the zero rows of the padding, if there are any.

    Over the ``z`` landmarks of padding only, all matrices are constant. They act on the subspace
    spanned by the unit vector ``(1, ..., 1) / sqrt(z)`` and the other landmarks. So one row and one
    column of weight ``sqrt(z)`` represent the ``z`` exactly, and the iteration runs on
    ``(m - z + 1)^2`` numbers. A sequence of at most ``m`` rows is its own landmarks. Then ``F1``
    and ``F3`` are rows and columns of ``A``, and ``A Z`` is applied as one iterated projection.
    """

    layout: Layout
    heads: int
    iterations: int

    def all_rows(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return ``F1 Z F3 v``: ``(b, lead + n, d)`` each -> ``(b, n, d)``."""
        layout = self.layout
        q_marks, k_marks = layout.means(q), layout.means(k)  # (b, r, d)
        matrix, root, weight = self.kernel(q_marks, k_marks)
        # Queries and keys are landmarks here: F1 = F3 = A, and A Z A v is the projection of A v.
        if layout.group == 1:
            mixed = projection_times(matrix, torch.bmm(matrix, v), self.iterations)
            return (mixed / root)[:, layout.lead :]
        mixed = weight * torch.bmm(_counted_softmax(q_marks, k, layout.pad), v)  # (b, r, d)
        # K^T first: where K is small the inverse is large, and rounding errors would grow with it.
        mixed = inverse_times(matrix.mT, torch.bmm(matrix.mT, mixed), self.iterations)
        # Queries of padding are left out: their outputs are cut off anyway.
        return torch.bmm(
            _counted_softmax(q[:, layout.lead :], k_marks, layout.zeros), mixed * root / weight
        )

    def one_row(self, q: Tensor, q_marks: Tensor, k: Tensor) -> Tensor:
        """Return the first tokens' rows of ``F1 Z F3``, ``(b, 1, n)``; ``q`` are their queries."""
        layout = self.layout
        k_marks = layout.means(k)
        matrix, root, weight = self.kernel(q_marks, k_marks)
        if layout.group == 1:
            # The row of A Z is its column, because the iterated A Z is symmetric: apply it to a
            # unit vector.
            first = torch.zeros_like(matrix[:, :, :1])
            first[:, layout.lead] = 1
            row = projection_times(matrix, first, self.iterations)
            return (torch.bmm(row.mT, matrix) / root)[..., layout.lead :]
        # In the basis of the kernel: the columns of F1 over the root of the landmark's count.
        f1 = _counted_softmax(q, k_marks, layout.zeros) / weight.mT
        row = inverse_times(matrix, torch.bmm(matrix, f1.mT), self.iterations) * root * weight
        return torch.bmm(row.mT, _counted_softmax(q_marks, k, layout.pad))[..., layout.lead :]

    def kernel(self, q_marks: Tensor, k_marks: Tensor) -> LandmarkKernel:
        """Return the kernel of landmarks ``(b, r, d)``.

        Rows of ``A`` sum to one, so ``1 / c`` is the largest column sum over a sequence's heads.
        """
        # (b, r, r); column 0 is the sum of `zeros` equal columns
        a = _counted_softmax(q_marks, k_marks, self.layout.zeros)
        count = log_counts(self.layout.zeros, k_marks).exp()
        column_sums = count @ a / count  # of the full matrix
        # The release takes the maximum over all bags of a batch, which couples them; this is per
        # bag.
        root = column_sums.view(-1, self.heads * len(count)).amax(1).rsqrt()
        root = root.repeat_interleave(self.heads)[:, None, None]
        weight = count.sqrt()[:, None]
        # Orthonormal basis: A stays similar to the full m x m matrix.
        return LandmarkKernel(a * (weight / weight.mT) * root, root, weight)


class LandmarkKernel(NamedTuple):
    """``matrix = sqrt(c) A (b, r, r)`` in the weighted basis, with ``root = sqrt(c) (b, 1, 1)``.

    ``c`` is the initial scale of the iteration, one of each sequence; ``weight (r, 1)`` holds the
    root of every landmark's count.
    """

    matrix: Tensor
    root: Tensor
    weight: Tensor


def _counted_softmax(q: Tensor, k: Tensor, count: int) -> Tensor:
    """``(b, l, d)`` and ``(b, s, d)`` -> weights ``(b, l, s)``; the first key counts ``count``.

    The logarithm of the count is one more feature of the keys, so no pass over the scores adds it.
    """
    q = F.pad(q * q.shape[-1] ** -0.5, (0, 1), value=1.0)  # as if scaled before the means
    k = torch.cat([k, log_counts(count, k)[:, None].expand(len(k), -1, 1)], 2)
    return torch.bmm(q, k.mT).softmax(-1)


@computed_by(pseudo_inverse.inverse_times)
def inverse_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """Return ``P X`` with ``K^T P = Z / sqrt(c)``, for ``K (b, r, r)`` and ``X (b, r, c)``.

    ``P`` is the product of all ``q(W)``, the iterated inverse of ``W = K K^T``.
    """
    w = k @ k.mT
    for _ in range(iterations):
        x, w = _refined(w, x), _refined(w, w)  # x with this step's w
    return x


@computed_by(pseudo_inverse.projection_times)
def projection_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """Return ``A Z X``, the iterated projection of ``X`` on the range of ``A``."""
    w = k @ k.mT
    for _ in range(iterations):
        w = _refined(w, w)
    return w @ x


def _refined(w: Tensor, x: Tensor) -> Tensor:
    """``q(W) X`` with ``q(w) = (13 - w (15 - w (7 - w))) / 4`` (Razavi et al., 2014)."""
    return (13 * x - w @ (15 * x - w @ (7 * x - w @ x))) / 4


class Layout(NamedTuple):
    """Landmarks of ``n`` rows: ``group`` rows per landmark, ``pad`` zero rows in front.

    No zero row is built. All of them are the same row, so one with a count stands for them: as a
    key it adds ``log(count)`` to its score, and landmarks of padding only become one landmark. The
    first ``zeros`` landmarks hold padding only, the next one holds ``partial`` rows of it.
    """

    group: int
    pad: int
    zeros: int
    partial: int

    @classmethod
    def of(cls, n: int, landmarks: int) -> Layout:
        """Return the layout of a sequence of ``n`` rows."""
        group = -(-n // landmarks)
        pad = group * landmarks - n
        return cls(group, pad, *divmod(pad, group))  # padding is in front: whole landmarks first

    @property
    def lead(self) -> int:
        """Rows that stand for the padding: one, or none without padding."""
        return int(self.pad > 0)

    def means(self, rows: Tensor) -> Tensor:
        """Return ``(g, lead + n, dim)`` -> ``(g, r, dim)``: the distinct landmarks."""
        if self.group == 1:  # every row is a landmark
            return rows
        # Real rows of the landmark that begins in the padding.
        first = self.group - self.partial if self.partial else 0
        _, head, tail = rows.split_with_sizes(
            [self.lead, first, rows.shape[1] - self.lead - first], 1
        )
        marks = tail.reshape(len(rows), -1, self.group, rows.shape[-1]).mean(2)
        if first:
            # Zero rows count in its mean.
            marks = torch.cat([head.sum(1, keepdim=True) / self.group, marks], 1)
        return F.pad(marks, (0, 0, 1, 0)) if self.zeros else marks


def log_counts(count: int, keys: Tensor) -> Tensor:
    """Return scores ``(n,)`` to add for keys ``(..., n, d)``; the first key counts ``count``.
    Nothing is added for ``count = 0``: then there is no such key.
    """
    bias = keys.new_zeros(keys.shape[-2])
    if count:
        bias[0] = math.log(count)
    return bias
