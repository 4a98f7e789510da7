"""The plain loop: PyTorch's defaults around a model of :mod:`benchmarks.plain`."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.contestants.one_bag import OneBagLoop
from benchmarks.plain import plain
from benchmarks.plain.model import PlainModel, without_dropout
from benchmarks.workloads import TREE


class PlainLoop(OneBagLoop):
    """One bag per step, float32, no switch touched."""

    model: PlainModel

    def build(self) -> None:
        """Build the plain form and the optimiser of its paper."""
        torch.manual_seed(self.entry.seed)
        form = plain(self.entry.method)
        self.model = form.build(self.cohort.store.dim, TREE)
        if not self.entry.dropout:
            without_dropout(self.model)
        self.optimizer = form.optimizer(self.model)

    def loss(self, x: Tensor, label: int) -> Tensor:
        """Return loss of one bag."""
        return self.model.loss(self.model(x), label)

    def logits(self, x: Tensor) -> Tensor:
        """Return leaf logits of one bag."""
        return self.model.logits(self.model(x))
