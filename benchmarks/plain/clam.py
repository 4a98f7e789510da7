"""CLAM-MB with its instance loss (Lu et al., Nature BME 2021), one bag per step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.plain.gated import GatedAttention
from benchmarks.plain.model import PlainModel
from mil_bench.base.taxonomy import Taxonomy

K_SAMPLE = 8
BAG_WEIGHT = 0.7


class CLAMOutput(NamedTuple):
    """``logits (1, C)``, attention scores before the softmax ``(C, N)``, features ``(N, 512)``."""

    logits: Tensor
    scores: Tensor
    h: Tensor


class PlainCLAM(PlainModel):
    """An attention branch, a bag classifier and an instance classifier per class."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.project = nn.Sequential(nn.Linear(dim, 512), nn.ReLU(), nn.Dropout(0.25))
        self.attention = GatedAttention(512, 256, n_classes, dropout=0.25)
        self.instance_classifiers = nn.ModuleList(nn.Linear(512, 2) for _ in range(n_classes))
        self.classifiers = nn.ModuleList(nn.Linear(512, 1) for _ in range(n_classes))

    def forward(self, x: Tensor) -> CLAMOutput:
        """Return ``(N, D)`` -> logits, and what the instance loss needs."""
        h = self.project(x)
        scores = torch.transpose(self.attention(h), 1, 0)  # (C, N)
        m = torch.mm(F.softmax(scores, dim=1), h)  # (C, 512)
        logits = [classifier(m[c]) for c, classifier in enumerate(self.classifiers)]
        return CLAMOutput(torch.stack(logits, 1), scores, h)

    def logits(self, output: CLAMOutput) -> Tensor:
        """Return ``(1, C)``."""
        return output.logits

    def loss(self, output: CLAMOutput, label: int) -> Tensor:
        """Return cross entropy of the bag and the mean clustering loss of the branches."""
        target = torch.tensor([label], device=output.logits.device)
        bag_loss = F.cross_entropy(output.logits, target)
        instance_loss = torch.zeros((), device=output.logits.device)
        for c, classifier in enumerate(self.instance_classifiers):
            evidence = self.inside if c == label else self.outside
            instance_loss = instance_loss + evidence(output.scores[c], output.h, classifier)
        instance_loss = instance_loss / self.n_classes
        return BAG_WEIGHT * bag_loss + (1 - BAG_WEIGHT) * instance_loss

    def inside(self, scores: Tensor, h: Tensor, classifier: nn.Module) -> Tensor:
        """Return the label's branch: the most attended are positive, the least attended
        negative.
        """
        k = min(K_SAMPLE, len(scores))
        top = torch.topk(scores, k).indices
        bottom = torch.topk(-scores, k).indices
        rows = torch.cat([torch.index_select(h, 0, top), torch.index_select(h, 0, bottom)])
        ones = torch.ones(k, dtype=torch.long, device=h.device)
        return smooth_svm(classifier(rows), torch.cat([ones, torch.zeros_like(ones)]))

    def outside(self, scores: Tensor, h: Tensor, classifier: nn.Module) -> Tensor:
        """Return another class's branch: its most attended instances are negative."""
        k = min(K_SAMPLE, len(scores))
        rows = torch.index_select(h, 0, torch.topk(scores, k).indices)
        return smooth_svm(classifier(rows), torch.zeros(k, dtype=torch.long, device=h.device))


def smooth_svm(scores: Tensor, target: Tensor) -> Tensor:
    """Return mean smooth top-1 SVM loss (Berrada et al., 2018), alpha = tau = 1, ``(R, 2)``,
    ``(R,)``.

    Rows decided by a factor of 1,000 or more take the hard limit.
    """
    truth = F.one_hot(target, 2).to(scores.dtype)
    own = (scores * truth).sum(1)
    margins = scores + 1 - truth
    smooth = torch.logsumexp(margins, 1) - own
    hard = margins.max(1).values - own
    clear = (scores[:, 0] - scores[:, 1]).abs() >= torch.tensor(1000.0).log().item()
    return torch.where(clear, hard, smooth).mean()


def build(dim: int, taxonomy: Taxonomy) -> PlainModel:
    """Return the model for features of width ``dim``."""
    return PlainCLAM(dim, len(taxonomy.leaves))


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of CLAM's README."""
    return torch.optim.Adam(model.parameters(), lr=2e-4, weight_decay=1e-5)
