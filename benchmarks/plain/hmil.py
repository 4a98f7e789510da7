"""HMIL on a two-level tree with all its losses (Jin et al., IEEE TMI 2025), one bag per step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.plain.gated import GatedAttention
from benchmarks.plain.model import PlainModel
from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy

TEMPERATURE = 0.1
BETA = 0.5  # the curriculum, held at its mean


class BranchOutput(NamedTuple):
    """``logits (1, K)``, ``attention (K, N)``, ``bags (K, D)``."""

    logits: Tensor
    attention: Tensor
    bags: Tensor


class Scorer(nn.Module):
    """A weight vector per class."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, n_classes)

    def forward(self, bags: Tensor) -> Tensor:
        """Return ``(K, D)`` -> ``(1, K)``."""
        return ((bags * self.linear.weight).sum(1) + self.linear.bias)[None]


class Branch(nn.Module):
    """Class-wise gated attention, a bag vector and a score per class."""

    def __init__(self, dim: int, hidden_dim: int, n_classes: int) -> None:
        super().__init__()
        self.attention = GatedAttention(dim, hidden_dim, n_classes, dropout=0.0)
        self.classifier = Scorer(dim, n_classes)

    def forward(self, h: Tensor) -> BranchOutput:
        """Return ``(N, D)`` features of the level."""
        attention = F.softmax(torch.transpose(self.attention(h), 1, 0), dim=1)
        bags = torch.mm(attention, h)
        return BranchOutput(self.classifier(bags), attention, bags)


class Net(nn.Module):
    """The embedded stem, the online re-embedding of the leaves, and both branches."""

    def __init__(self, dim: int, n_coarse: int, n_leaves: int) -> None:
        super().__init__()
        embed = nn.Sequential(nn.Linear(dim, 256), nn.ReLU())
        stem = nn.Sequential(embed, nn.Linear(256, dim))
        steps = nn.ModuleDict({LEAF: nn.Linear(dim, 256)})
        self.features = nn.ModuleDict({"stem": stem, "steps": steps})
        self.branches = nn.ModuleDict(
            {COARSE: Branch(dim, 256, n_coarse), LEAF: Branch(256, 64, n_leaves)}
        )

    def forward(self, x: Tensor) -> tuple[BranchOutput, BranchOutput]:
        """Return ``(N, D)`` -> output of the coarse and of the leaf branch."""
        coarse = self.features["stem"](x)
        leaf = self.features["steps"][LEAF](coarse)  # type: ignore[index]
        return self.branches[COARSE](coarse), self.branches[LEAF](leaf)


class PlainHMIL(PlainModel):
    """``beta (CE_coarse + L_ia + L_ba) + (1 - beta) L_con + CE_leaf``."""

    members: Tensor

    def __init__(self, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__()
        coarse, leaves = taxonomy.classes[COARSE], taxonomy.leaves
        self.net = Net(dim, len(coarse), len(leaves))
        self.parents = taxonomy.parent_index(LEAF).tolist()
        members = F.one_hot(torch.tensor(self.parents)).float()  # (leaves, coarse)
        self.register_buffer("members", members, persistent=False)

    def forward(self, x: Tensor) -> tuple[BranchOutput, BranchOutput]:
        """Return ``(N, D)`` -> output of the coarse and of the leaf branch."""
        output: tuple[BranchOutput, BranchOutput] = self.net(x)
        return output

    def logits(self, output: tuple[BranchOutput, BranchOutput]) -> Tensor:
        """Return ``(1, leaves)``."""
        return output[1].logits

    def loss(self, output: tuple[BranchOutput, BranchOutput], label: int) -> Tensor:
        """Return all terms of the paper."""
        coarse, leaf = output
        device = leaf.logits.device
        y_leaf = torch.tensor([label], device=device)
        y_coarse = torch.tensor([self.parents[label]], device=device)
        upper = F.cross_entropy(coarse.logits, y_coarse)
        upper = upper + self.instance_alignment(coarse.attention, leaf.attention)
        upper = upper + self.bag_alignment(leaf.logits, y_coarse)
        contrast = contrastive(F.normalize(leaf.bags, dim=1))
        return BETA * upper + (1 - BETA) * contrast + F.cross_entropy(leaf.logits, y_leaf)

    def instance_alignment(self, coarse: Tensor, leaf: Tensor) -> Tensor:
        """Return ``L_ia``: one minus the cosine of each class's attention and its
        children's sum.
        """
        summed = torch.mm(self.members.t(), leaf)
        return (1 - F.cosine_similarity(coarse, summed, dim=1)).mean()

    def bag_alignment(self, logits: Tensor, y_coarse: Tensor) -> Tensor:
        """Return ``L_ba``: ``-log`` of the probability summed over the children of the coarse
        label.
        """
        summed = torch.mm(F.softmax(logits, dim=1), self.members)
        return F.nll_loss(torch.log(summed), y_coarse)


def contrastive(views: Tensor) -> Tensor:
    """Return supCon (Khosla et al., 2020) of one bag: its ``(K, D)`` class-wise vectors attract."""
    n = len(views)
    scores = torch.mm(views, views.t()) / TEMPERATURE
    itself = torch.eye(n, dtype=torch.bool, device=views.device)
    normaliser = torch.logsumexp(scores.masked_fill(itself, -torch.inf), dim=1, keepdim=True)
    log_likelihood = (scores - normaliser).masked_fill(itself, 0.0)
    return -(log_likelihood.sum(1) / (n - 1)).mean()


def build(dim: int, taxonomy: Taxonomy) -> PlainModel:
    """Return the model for features of width ``dim``, with the released code's first weights."""
    model = PlainHMIL(dim, taxonomy)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of the released code."""
    return torch.optim.Adam(model.parameters(), lr=1e-4)
