"""HMIL: hierarchical multiple-instance learning (Jin et al., IEEE TMI 2025)."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method, Output
from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.methods.hmil.config import ABLATIONS, CARD, HMILConfig
from mil_bench.methods.hmil.losses import (
    bag_alignment_scores,
    beta,
    instance_alignment,
    level_weights,
    released_supcon,
    released_temperature,
    supcon,
)
from mil_bench.methods.hmil.model import HMILNet


class HMIL(Method):
    """Class-wise attention at every level of the label tree, tied together by alignment.

    Two levels are the paper: ``beta (CE_coarse + L_ia + L_ba) + (1 - beta) L_con + CE_leaf``.
    A deeper tree has a branch per level, both alignments between neighbouring levels, and a
    curriculum that fades the levels out from the root. A flat tree keeps ``CE_leaf`` and
    ``(1 - beta) L_con``.

    ``branches="fine"`` trains only the leaf branch. ``branches="coarse"`` trains the levels above
    the leaves, the deepest of them with weight 1; leaf logits then spread a class's probability
    evenly over its leaves.

    ``Output.attention`` holds the attention ``(sum N, K_level)`` of every trained level, each
    column summing to 1 within each bag; ``extras["bags"]`` the leaf's bag vectors ``(B, K, D)``.
    """

    Config = HMILConfig
    config: HMILConfig
    paper = CARD
    recipe: ClassVar = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 0.0,
        "epochs": 200,
        "batch_size": 64,
        "schedule": "plateau",
    }
    ablations = ABLATIONS
    version: ClassVar[str] = "2"
    safe_in_bf16: ClassVar[bool] = True
    head_layers: ClassVar[tuple[str, ...]] = ("branches",)  # class-wise attention and classifiers

    def __init__(self, config: HMILConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        if config.branches == "coarse" and taxonomy.depth == 1:
            raise ConfigError(
                "method hmil: branches='coarse' requires a tree of two or more levels, but tree "
                f"{taxonomy.name!r} is flat; use branches='all' or a dataset with a tree."
            )
        self.hierarchy = Hierarchy(taxonomy, config.tree == "shuffled", config.tree_seed)
        levels = taxonomy.levels
        # Branches that are trained.
        trained = {"all": levels, "coarse": levels[:-1], "fine": levels[-1:]}[config.branches]
        self.net = HMILNet(
            config,
            dim,
            {level: self.hierarchy.sizes[level] for level in trained},
            top=levels[0] if taxonomy.depth > 1 else None,
        )
        self.levels = trained

    def forward(self, batch: BagBatch) -> Output:
        """Return logits and attention of every trained level; leaf logits always."""
        heads = self.net(batch)
        logits = {level: head.logits for level, head in heads.items()}
        attention = {level: head.attention for level, head in heads.items()}
        if LEAF not in heads:  # the leaves have no branch
            logits[LEAF] = self.hierarchy.spread(logits[self.levels[-1]])
            return Output(logits, attention)
        return Output(logits, attention, {"bags": heads[LEAF].bags})

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return ``ce_<level>``, ``ia``, ``ba`` and ``con``, weighted by the curriculum.

        With more than one edge in the tree, ``ia`` and ``ba`` carry the name of the upper level.
        """
        config = self.config
        # Labels of upper levels follow from the leaf's.
        targets = self.hierarchy.targets(batch.labels[LEAF])
        weights = level_weights(config.curriculum, progress, len(self.levels))
        terms = {}
        with as_written(batch.features):
            for level, weight in zip(self.levels, weights, strict=True):
                logits = output.logits[level]
                terms[f"ce_{level}"] = weight * self.cross_entropy(logits, targets[level], level)
            # The last level has no edge below.
            for edge, weight in zip(pairwise(self.levels), weights, strict=False):
                # Two levels: the paper's names.
                suffix = f"_{edge[0]}" if len(self.levels) > 2 else ""
                if config.ia_weight:
                    ia = self._instance_alignment(output, batch, *edge)
                    terms[f"ia{suffix}"] = config.ia_weight * weight * ia
                if config.ba_weight:
                    ba = self._bag_alignment(output, targets, *edge)
                    constant = config.ba_schedule == "constant"  # as released
                    terms[f"ba{suffix}"] = config.ba_weight * (1.0 if constant else weight) * ba
            if config.con_weight and LEAF in self.levels:
                # 1 - beta: contrast takes over from the coarse terms.
                weight = config.con_weight * (1.0 - beta(config.curriculum, progress))
                terms["con"] = weight * self._contrast(output, targets[LEAF], progress)
        return terms

    def _instance_alignment(
        self, output: Output, batch: BagBatch, upper: str, lower: str
    ) -> Tensor:
        attention = output.attention[lower]
        membership = self.hierarchy.membership(lower, attention.dtype)
        axis = self.config.alignment_axis
        return instance_alignment(
            output.attention[upper], attention, membership, batch.offsets, axis
        )

    def _bag_alignment(
        self, output: Output, targets: dict[str, Tensor], upper: str, lower: str
    ) -> Tensor:
        logits = full_precision(output.logits[lower])
        membership = self.hierarchy.membership(lower, logits.dtype)
        scores = bag_alignment_scores(logits, membership, self.config.bag_alignment)
        return self.cross_entropy(scores, targets[upper], upper)

    def _contrast(self, output: Output, leaf: Tensor, progress: float) -> Tensor:
        vectors = full_precision(output.extras["bags"])
        if self.config.contrast == "true_class":
            # (B, 1, D)
            vectors = vectors[torch.arange(len(leaf), device=leaf.device), leaf].unsqueeze(1)
        vectors = F.normalize(vectors, dim=-1)
        if self.config.contrast_loss == "khosla":
            return supcon(vectors, leaf, self.config.temperature)
        # Released: divided by the batch once more.
        return released_supcon(vectors, leaf, released_temperature(progress)) / len(leaf)


class Hierarchy(nn.Module):
    """Parents of every class, as buffers that follow the model's device and are not saved.

    With ``shuffled`` the leaves are assigned to the parents at random (``seed``), as a control. The
    tree above them, class indices and the number of children are unchanged.
    """

    def __init__(self, taxonomy: Taxonomy, shuffled: bool = False, seed: int = 0) -> None:
        super().__init__()
        self.levels = taxonomy.levels
        self.sizes = {level: len(classes) for level, classes in taxonomy.classes.items()}
        for level in self.levels[1:]:
            parents = taxonomy.parent_index(level)
            if shuffled and level == LEAF:
                parents = _dealt_out(parents, seed)
            # Made from the tree, so no checkpoint holds it.
            self.register_buffer(f"parents_{level}", torch.from_numpy(parents), persistent=False)

    def parents(self, level: str) -> Tensor:
        """Return ``(K_level,)`` int64: index of every class's parent at the level above."""
        return self.get_buffer(f"parents_{level}")

    def membership(self, level: str, dtype: torch.dtype) -> Tensor:
        """Return ``(K_level, K_above)``: 1 where the second class is the parent of the first."""
        above = self.levels[self.levels.index(level) - 1]
        return F.one_hot(self.parents(level), self.sizes[above]).to(dtype)

    def targets(self, leaf: Tensor) -> dict[str, Tensor]:
        """Return the class index of every bag at every level, given its leaf label ``(B,)``."""
        targets = {LEAF: leaf}
        for above, level in reversed(list(pairwise(self.levels))):  # from the leaves up
            targets[above] = self.parents(level)[targets[level]]
        return targets

    def spread(self, logits: Tensor) -> Tensor:
        """Return leaf logits ``(B, K_leaf)`` from the level above, uniform among siblings.


        Their softmax sums to the softmax of ``logits``.
        """
        siblings = self.membership(LEAF, logits.dtype).sum(0)
        return (logits - siblings.log())[:, self.parents(LEAF)]  # log(p / siblings) for every child


def _dealt_out(parents: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return ``parents`` in another random order, if there is one."""
    rng = np.random.default_rng(seed)
    dealt = rng.permutation(parents)
    # A control that is the true tree controls nothing.
    while len(np.unique(parents)) > 1 and np.array_equal(dealt, parents):
        dealt = rng.permutation(parents)
    return dealt
