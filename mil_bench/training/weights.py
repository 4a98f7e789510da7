"""Class weights against imbalance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.loader import level_labels
from mil_bench.taxonomy import Taxonomy


def balanced_class_weights(
    taxonomy: Taxonomy, leaf: NDArray[np.int64], device: torch.device
) -> dict[str, Tensor]:
    """Level -> ``(K_level,)``: ``n / (classes present * bags of the class)`` from training labels.

    This is scikit-learn's "balanced" rule: the mean weight over training bags is 1. A class without
    training bags has weight 0.
    """
    weights = {}
    for level, labels in level_labels(taxonomy, leaf).items():
        counts = np.bincount(labels, minlength=len(taxonomy.classes[level]))
        present = counts > 0
        weight = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0)
        weights[level] = torch.tensor(weight, dtype=torch.float32, device=device)
    return weights
