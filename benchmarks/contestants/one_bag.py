"""The loop around one bag per step, as CLAM writes it, and its predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.contestants import Entry
from benchmarks.contestants.contestant import Contestant
from benchmarks.workloads import TREE, Cohort
from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.predictions import Predictions


class OneBagLoop(Contestant):
    """Forward, loss, ``loss.item()``, backward, step, ``zero_grad`` for every bag."""

    model: nn.Module
    optimizer: Optimizer

    def __init__(self, entry: Entry, cohort: Cohort) -> None:
        super().__init__(entry, cohort)
        slides = cohort.train + cohort.held_out
        self.labels = dict(zip(slides, cohort.leaf(slides).tolist(), strict=True))

    @abstractmethod
    def loss(self, x: Tensor, label: int) -> Tensor:
        """Return scalar loss of a bag ``(N, D)``."""

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Return ``(1, C)`` leaf logits of a bag ``(N, D)``."""

    def bag(self, slide: str) -> Tensor:
        """Return ``(N, D)`` features, shared with the store."""
        return torch.from_numpy(self.cohort.store.bag(slide))

    def train(self, epoch: int) -> None:
        """Train one epoch in random order."""
        torch.manual_seed(self.entry.seed + epoch)
        self.model.train()
        total = 0.0
        for i in torch.randperm(len(self.cohort.train)).tolist():
            slide = self.cohort.train[i]
            loss = self.loss(self.bag(slide), self.labels[slide])
            total += loss.item()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.optimizer.zero_grad()

    def predict(self, slides: Sequence[str]) -> Predictions:
        """Return softmax of the logits, bag by bag."""
        self.model.eval()
        with torch.inference_mode():
            parts = [self.logits(self.bag(slide)).softmax(1) for slide in slides]
        return Predictions(
            taxonomy=TREE,
            slide_ids=np.array(slides),
            groups=np.array(slides),
            labels=np.array([self.labels[slide] for slide in slides]),
            heads={LEAF: torch.cat(parts).double().numpy()},
        )
