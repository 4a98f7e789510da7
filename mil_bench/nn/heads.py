"""Heads: from the vector of a bag to logits of every level, and their loss.

A head has no parameters. It defines how many outputs the method's last layer has, turns them into
logits per level, and computes the loss. So every aggregator can take every head, and a comparison
of two heads changes nothing else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.numerics import as_written, cross_entropy, full_precision, mean_over_bags

Levels = Mapping[str, Tensor]
"""Level name -> logits ``(B, K_level)``, labels ``(B,)`` or weights of classes ``(K_level,)``."""


class Head(nn.Module, ABC):
    """Base of heads: reads ``outputs`` numbers of a bag. Its buffers are not saved."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.taxonomy = taxonomy

    @property
    def outputs(self) -> int:
        """Number of outputs of the method's last layer; one per leaf class."""
        return len(self.taxonomy.leaves)

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """Split ``(rows, outputs)`` into the outputs of every class, by level.

        Assigns branches of attention, one per output, to classes.
        """
        return {LEAF: x}

    @abstractmethod
    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return logits ``(B, K_level)`` from scores ``(B, outputs)``; always of the leaves."""

    @abstractmethod
    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Return the named terms, means over bags. ``weights`` of classes may be empty."""

    def _of_levels(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """The cross entropy of every level, each with weight one."""
        return {
            f"ce_{level}": cross_entropy(logits[level], labels[level], weights.get(level))
            for level in self.taxonomy.levels
        }


class Flat(Head):
    """``softmax(s)`` over the leaf classes; their cross entropy is the term ``ce``."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return ``(B, K_leaf)`` unchanged."""
        return {LEAF: scores}

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Return the cross entropy of the leaves."""
        return {"ce": cross_entropy(logits[LEAF], labels[LEAF], weights.get(LEAF))}


class Multi(Head):
    """A classifier per level: ``softmax(s_level)``; terms ``ce_<level>`` of weight one.

    Levels share only the bag's vector and may contradict each other. With class-wise attention
    every class of every level has its own branch.
    """

    @property
    def outputs(self) -> int:
        """One per class of every level, the top level first."""
        return sum(self._sizes)

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """Return the columns of every level."""
        return dict(zip(self.taxonomy.levels, x.split_with_sizes(self._sizes, 1), strict=True))

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return the logits of every level."""
        return self.by_level(scores)

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Return the cross entropy of every level."""
        return self._of_levels(logits, labels, weights)

    @property
    def _sizes(self) -> list[int]:
        return [len(self.taxonomy.classes[level]) for level in self.taxonomy.levels]


Node = tuple[str, ...]


class Conditional(Head):
    """``p(C | parent) = softmax`` over siblings, ``p(C)`` their product down to ``C``.

    The term ``hxe`` is hierarchical cross entropy (eq. 3), ``-sum w(C) log p(C | parent)`` over the
    path to the true leaf with ``w = exp(-alpha depth)`` and depth 0 below the root. The weight
    depends on the distance from the root, as in the authors' code. That code also divides by the
    sum over the tree and takes its conditionals from one softmax over the leaves.

    There is an output per node with siblings; the others are certain. Levels agree by construction.
    With class-wise attention every such node has a branch, shared by the single classes below it.
    """

    def __init__(self, taxonomy: Taxonomy, alpha: float) -> None:
        super().__init__(taxonomy)
        self.alpha = alpha
        nodes = _with_siblings(taxonomy)
        families = list(dict.fromkeys(node[:-1] for node in nodes))  # a family: nodes of one parent
        self.nodes = nodes
        self.family: Tensor
        self.relatives: Tensor
        family = torch.tensor([families.index(node[:-1]) for node in nodes])
        # 0 within the family, -inf outside.
        relatives = torch.eye(len(families), dtype=torch.float64)[family].log()
        self.register_buffer("family", family, persistent=False)
        self.register_buffer("relatives", relatives, persistent=False)  # (outputs, families)
        for level in taxonomy.levels:
            # 1 for the nodes on the way to a class. A node without siblings is certain, so it has
            # no row.
            down = [[node == path[: len(node)] for path in self._paths(level)] for node in nodes]
            path = torch.tensor(down, dtype=torch.float64)
            self.register_buffer(f"path_{level}", path, persistent=False)

    @property
    def outputs(self) -> int:
        """One per node that has siblings."""
        return len(self.nodes)

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """Return for every class the column of the lowest node with siblings on its path.

        A level of a single class has none.
        """
        columns = {
            level: [self._lowest(path) for path in self._paths(level)]
            for level in self.taxonomy.levels
        }
        # A level of one class.
        return {level: x[:, own] for level, own in columns.items() if -1 not in own}

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return log probabilities of every level; as logits, their softmax is themselves."""
        with as_written(scores):
            s = full_precision(scores)
            # (B, outputs, families) -> (B, families)
            of_family = (s.unsqueeze(2) + self.relatives.to(s.dtype)).logsumexp(1)
            given_parent = s - of_family[:, self.family]  # log p(node | parent)
            return {
                # log p(class) is the sum over its path: one product.
                level: given_parent @ self.get_buffer(f"path_{level}").to(s.dtype)
                for level in self.taxonomy.levels
            }

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Return the term ``hxe``; weights of classes are those of the leaves."""
        levels = self.taxonomy.levels
        log_p = [logits[level].gather(1, labels[level].unsqueeze(1))[:, 0] for level in levels]
        losses = -log_p[0]  # the top level, depth 0, has weight 1
        for depth, (above, below) in enumerate(pairwise(log_p), 1):
            # Above - below = -log p(below | above).
            losses = losses + math.exp(-self.alpha * depth) * (above - below)
        return {"hxe": mean_over_bags(losses, labels[LEAF], weights.get(LEAF))}

    def _paths(self, level: str) -> list[Node]:
        """Return the path of every class of ``level`` from the top."""
        depth = self.taxonomy.levels.index(level) + 1
        return list(dict.fromkeys(path[:depth] for path in self.taxonomy.paths))

    def _lowest(self, path: Node) -> int:
        above = [i for i, node in enumerate(self.nodes) if node == path[: len(node)]]
        return max(above, key=lambda i: len(self.nodes[i]), default=-1)


def _with_siblings(taxonomy: Taxonomy) -> list[Node]:
    """Return the paths of all nodes with siblings, level by level."""
    nodes = dict.fromkeys(
        # Every class once.
        path[:depth]
        for depth in range(1, taxonomy.depth + 1)
        for path in taxonomy.paths
    )
    parents = [node[:-1] for node in nodes]
    return [node for node in nodes if parents.count(node[:-1]) > 1]


class Marginal(Head):
    """``p(C) = sum of softmax(s)`` over the leaves under ``C``; cross entropy of every level.

    The terms ``ce_<level>`` have weight one. Levels agree by construction. With class-wise
    attention there is a branch per leaf.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__(taxonomy)
        for level in taxonomy.levels[:-1]:
            under = torch.from_numpy(taxonomy.membership(level)).log()  # 0, or -inf outside
            self.register_buffer(f"under_{level}", under, persistent=False)

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return leaf logits unchanged, and log probabilities of the levels above."""
        leaves = full_precision(scores).log_softmax(1).unsqueeze(2)  # (B, K_leaf, 1)
        above = {
            # Log of the sum, without leaving logarithms.
            level: (leaves + self.get_buffer(f"under_{level}").to(leaves.dtype)).logsumexp(1)
            for level in self.taxonomy.levels[:-1]
        }
        return {**above, LEAF: scores}

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Return the cross entropy of every level."""
        return self._of_levels(logits, labels, weights)


class SoftLabels(Head):
    """Cross entropy with ``y(A | C) ~ exp(-beta d(A, C))`` (eq. 5); the term ``ce_soft``.

    ``d`` is the height of the lowest common ancestor of two leaves over the height of the tree.
    A large ``beta`` is the flat head. With class-wise attention there is a branch per leaf.
    """

    def __init__(self, taxonomy: Taxonomy, beta: float) -> None:
        super().__init__(taxonomy)
        heights = torch.from_numpy(taxonomy.lca_height)
        self.targets: Tensor
        targets = (-beta * heights / heights.max()).softmax(1)  # row: true class
        self.register_buffer("targets", targets, persistent=False)

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return ``(B, K_leaf)`` unchanged."""
        return {LEAF: scores}

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Return the cross entropy of the leaves with soft targets."""
        log_p = full_precision(logits[LEAF]).log_softmax(1)
        losses = -(self.targets[labels[LEAF]].to(log_p.dtype) * log_p).sum(1)
        return {"ce_soft": mean_over_bags(losses, labels[LEAF], weights.get(LEAF))}
