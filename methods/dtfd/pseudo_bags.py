"""Pseudo-bags: the instances of a slide, shuffled and dealt into groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

_EVALUATION_SEED = 0


@dataclass(frozen=True)
class PseudoBags:
    """The pseudo-bags of a batch of ``B`` slides.

    ``order``   ``(sum N,)`` int64 on the host: packed rows, pseudo-bag after pseudo-bag
    ``sizes``   their sizes, slide after slide
    ``counts``  ``B`` numbers of pseudo-bags
    """

    order: Tensor
    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def deal(cls, permutations: Sequence[Tensor], groups: int) -> PseudoBags:
        """Cut a permutation ``(N,)`` per slide into ``groups`` parts, the first ones longer by one.

        A slide of fewer instances has as many pseudo-bags, of one instance each.
        """
        starts = accumulate((len(one) for one in permutations), initial=0)
        order = [one + start for one, start in zip(permutations, starts, strict=False)]
        counts = [min(groups, len(one)) for one in permutations]
        sizes = [
            len(one) // count + (g < len(one) % count)
            for one, count in zip(permutations, counts, strict=True)
            for g in range(count)
        ]
        return cls(torch.cat(order), tuple(sizes), tuple(counts))

    def per_slide(self, numbers: Sequence[int]) -> list[int]:
        """Sums over the pseudo-bags of each slide."""
        one = iter(numbers)
        return [sum(next(one) for _ in range(count)) for count in self.counts]


def random_permutation(size: int) -> Tensor:
    """A new permutation ``(size,)`` with every call, from the seeds of training."""
    return torch.randperm(size)


def fixed_permutation(size: int) -> Tensor:
    """The one permutation ``(size,)`` of evaluation, the same on every device."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(_EVALUATION_SEED))
