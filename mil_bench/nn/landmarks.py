"""Landmarks of a sequence that is filled up in front with zero rows to a multiple of their number.

No such row is built. All zero rows are the same row, so one with a count stands for them: as a key
it adds ``log(count)`` to its score, and ``z`` landmarks of padding alone become one landmark.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
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

    @property
    def lead(self) -> int:
        """Rows that stand for the padding: one, or none without padding."""
        return int(self.pad > 0)

    def means(self, rows: Tensor) -> Tensor:
        """``(g, lead + n, dim)`` -> ``(g, r, dim)``: the distinct landmarks."""
        if self.group == 1:
            return rows
        first = self.group - self.partial if self.partial else 0
        _, head, tail = rows.split_with_sizes(
            [self.lead, first, rows.shape[1] - self.lead - first], 1
        )
        marks = tail.reshape(len(rows), -1, self.group, rows.shape[-1]).mean(2)
        if first:
            marks = torch.cat([head.sum(1, keepdim=True) / self.group, marks], 1)
        return F.pad(marks, (0, 0, 1, 0)) if self.zeros else marks


def log_counts(count: int, keys: Tensor) -> Tensor:
    """``(n,)`` scores to add for keys ``(..., n, d)`` of which the first stands for ``count``.

    Nothing is added for ``count = 0``: then there is no such key.
    """
    bias = keys.new_zeros(keys.shape[-2])
    if count:
        bias[0] = math.log(count)
    return bias
