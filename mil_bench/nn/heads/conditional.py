"""Every class given its parent, as a cascade of softmaxes (Bertinetto et al., CVPR 2020)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from mil_bench.nn.casting import as_written, full_precision
from mil_bench.nn.cross_entropy import mean_over_bags
from mil_bench.nn.heads.head import Head, Levels
from mil_bench.taxonomy import LEAF, Taxonomy

Node = tuple[str, ...]


class Conditional(Head):
    """``p(C | parent) = softmax`` over siblings, ``p(C)`` the product down to ``C``.

    The term ``hxe`` is hierarchical cross entropy (eq. 3), ``-sum w(C) log p(C | parent)`` over
    the path to the true leaf with ``w = exp(-alpha depth)`` and depth 0 below the root. The weight
    is that of the authors' code, by the distance from the root, without its division by the sum
    over the tree; their conditionals come from one softmax over the leaves.

    There is an output per node with siblings; the others are certain. Levels agree by construction.
    With class-wise attention every such node has a branch, which speaks for the single classes
    below it too.
    """

    def __init__(self, taxonomy: Taxonomy, alpha: float) -> None:
        super().__init__(taxonomy)
        self.alpha = alpha
        nodes = _with_siblings(taxonomy)
        families = list(dict.fromkeys(node[:-1] for node in nodes))
        self.nodes = nodes
        self.family: Tensor
        self.relatives: Tensor
        family = torch.tensor([families.index(node[:-1]) for node in nodes])
        relatives = torch.eye(len(families), dtype=torch.float64)[family].log()
        self.register_buffer("family", family, persistent=False)
        self.register_buffer("relatives", relatives, persistent=False)  # (outputs, families)
        for level in taxonomy.levels:
            down = [[node == path[: len(node)] for path in self._paths(level)] for node in nodes]
            path = torch.tensor(down, dtype=torch.float64)
            self.register_buffer(f"path_{level}", path, persistent=False)

    @property
    def outputs(self) -> int:
        """One per node that has siblings."""
        return len(self.nodes)

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """For every class the column of the lowest node with siblings on its path.

        A level of a single class has none.
        """
        columns = {
            level: [self._lowest(path) for path in self._paths(level)]
            for level in self.taxonomy.levels
        }
        return {level: x[:, own] for level, own in columns.items() if -1 not in own}

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """``(B, outputs)`` -> log probabilities of every level."""
        with as_written(scores):
            s = full_precision(scores)
            of_family = (s.unsqueeze(2) + self.relatives.to(s.dtype)).logsumexp(1)
            given_parent = s - of_family[:, self.family]
            return {
                level: given_parent @ self.get_buffer(f"path_{level}").to(s.dtype)
                for level in self.taxonomy.levels
            }

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """The term ``hxe``; weights of classes are those of the leaves."""
        levels = self.taxonomy.levels
        log_p = [logits[level].gather(1, labels[level].unsqueeze(1))[:, 0] for level in levels]
        losses = -log_p[0]
        for depth, (above, below) in enumerate(pairwise(log_p), 1):
            losses = losses + math.exp(-self.alpha * depth) * (above - below)
        return {"hxe": mean_over_bags(losses, labels[LEAF], weights.get(LEAF))}

    def _paths(self, level: str) -> list[Node]:
        """The path of every class of ``level`` from the top."""
        depth = self.taxonomy.levels.index(level) + 1
        return list(dict.fromkeys(path[:depth] for path in self.taxonomy.paths))

    def _lowest(self, path: Node) -> int:
        found = [i for i, node in enumerate(self.nodes) if node == path[: len(node)]]
        return max(found, key=lambda i: len(self.nodes[i]), default=-1)


def _with_siblings(taxonomy: Taxonomy) -> list[Node]:
    """Paths of all nodes that are not their parent's only child, level by level."""
    nodes = dict.fromkeys(
        path[:depth] for depth in range(1, taxonomy.depth + 1) for path in taxonomy.paths
    )
    parents = [node[:-1] for node in nodes]
    return [node for node in nodes if parents.count(node[:-1]) > 1]
