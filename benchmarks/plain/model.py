"""What the plain models share: the loss of a flat method, and the way to switch dropout off."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PlainModel(nn.Module):
    """A model of one bag; ``forward`` maps ``(N, D)`` features to whatever ``loss`` needs."""

    def logits(self, output: Any) -> Tensor:
        """Return ``(1, C)`` leaf logits in the output of ``forward``."""
        assert isinstance(output, Tensor)
        return output

    def loss(self, output: Any, label: int) -> Tensor:
        """Return scalar loss of the bag with leaf ``label``; the default is cross entropy."""
        logits = self.logits(output)
        return F.cross_entropy(logits, torch.tensor([label], device=logits.device))


def without_dropout(model: nn.Module) -> None:
    """Set every dropout below ``model`` to zero."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
