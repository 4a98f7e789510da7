"""torchmil's ABMIL (PyPI), one bag per step and padded batches.

Its gated attention pool with CLAM's widths around it and a layer for several classes, which its own
binary classifier is replaced by. It has no dropout inside the attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from benchmarks.contestants import SkippedError
from benchmarks.contestants.one_bag import OneBagLoop
from benchmarks.workloads import TREE


class OneBag(OneBagLoop):
    """Batches of one bag without padding."""

    def build(self) -> None:
        """Build torchmil's ABMIL and the optimiser of the plain loop."""
        torch.manual_seed(self.entry.seed)
        dropout = 0.25 if self.entry.dropout else 0.0
        self.model = torchmil_abmil(self.cohort.store.dim, dropout)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-4, weight_decay=1e-5)

    @classmethod
    def require(cls) -> None:
        """Raise unless its package is installed."""
        try:
            import_module("torchmil.models")
        except ImportError as error:
            raise SkippedError(f"{error}; pip install -e '.[bench]'") from None

    def loss(self, x: Tensor, label: int) -> Tensor:
        """Return cross entropy of one bag."""
        return F.cross_entropy(self.logits(x), torch.tensor([label]))

    def logits(self, x: Tensor) -> Tensor:
        """Return ``(1, C)`` logits of one bag."""
        logits: Tensor = self.model(x[None])
        return logits


class Padded(OneBag):
    """Batches of several bags, padded to the longest and masked, as its collate function does."""

    def train(self, epoch: int) -> None:
        """Train one epoch in random order."""
        torch.manual_seed(self.entry.seed + epoch)
        self.model.train()
        order = torch.randperm(len(self.cohort.train)).tolist()
        total = 0.0
        for start in range(0, len(order), self.entry.batch):
            slides = [self.cohort.train[i] for i in order[start : start + self.entry.batch]]
            target = torch.tensor([self.labels[slide] for slide in slides])
            loss = F.cross_entropy(self.padded_logits(slides), target)
            total += loss.item()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.optimizer.zero_grad()

    def padded_logits(self, slides: Sequence[str]) -> Tensor:
        """Return ``(B, C)`` logits of several bags."""
        bags = [self.bag(slide) for slide in slides]
        mask = pad_sequence([torch.ones(len(bag)) for bag in bags], batch_first=True)
        logits: Tensor = self.model(pad_sequence(bags, batch_first=True), mask)
        return logits


def torchmil_abmil(dim: int, dropout: float) -> nn.Module:
    """Build torchmil's ABMIL with widths ``D -> 512 -> 2 x 256``."""
    project = nn.Sequential(nn.Linear(dim, 512), nn.ReLU(), nn.Dropout(dropout))
    abmil = import_module("torchmil.models").ABMIL
    model: nn.Module = abmil((dim,), att_dim=256, gated=True, feat_ext=project)
    model.classifier = nn.Linear(512, len(TREE.leaves))
    return model
