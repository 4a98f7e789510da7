"""The tree as HMIL's losses see it: parent maps between neighbouring levels."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.taxonomy import LEAF, Taxonomy


class Hierarchy(nn.Module):
    """Parents of every class, as buffers that follow the model's device and are not saved.

    With ``shuffled`` the leaves are dealt out at random (``seed``) among the parents, as a control;
    the tree above them, class indices and the number of children stay as they are.
    """

    def __init__(self, taxonomy: Taxonomy, shuffled: bool = False, seed: int = 0) -> None:
        super().__init__()
        self.levels = taxonomy.levels
        self.sizes = {level: len(classes) for level, classes in taxonomy.classes.items()}
        for level in self.levels[1:]:
            parents = taxonomy.parent_index(level)
            if shuffled and level == LEAF:
                parents = _dealt_out(parents, seed)
            self.register_buffer(f"parents_{level}", torch.from_numpy(parents), persistent=False)

    def parents(self, level: str) -> Tensor:
        """``(K_level,)`` int64: index of every class's parent at the level above."""
        return self.get_buffer(f"parents_{level}")

    def membership(self, level: str, dtype: torch.dtype) -> Tensor:
        """``(K_level, K_above)``: 1 where the second class is the parent of the first."""
        above = self.levels[self.levels.index(level) - 1]
        return F.one_hot(self.parents(level), self.sizes[above]).to(dtype)

    def targets(self, leaf: Tensor) -> dict[str, Tensor]:
        """Class index of every bag at every level, given its leaf label ``(B,)``."""
        targets = {LEAF: leaf}
        for above, level in reversed(list(itertools.pairwise(self.levels))):
            targets[above] = self.parents(level)[targets[level]]
        return targets

    def spread(self, logits: Tensor) -> Tensor:
        """Leaf logits ``(B, K_leaf)`` from logits of the level above, uniform among siblings.

        Their softmax sums to the given level's softmax.
        """
        siblings = self.membership(LEAF, logits.dtype).sum(0)
        return (logits - siblings.log())[:, self.parents(LEAF)]


def _dealt_out(parents: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """``parents`` in random order, different from the given one if there is another."""
    rng = np.random.default_rng(seed)
    dealt = rng.permutation(parents)
    while len(np.unique(parents)) > 1 and np.array_equal(dealt, parents):
        dealt = rng.permutation(parents)
    return dealt
