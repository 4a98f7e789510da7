"""Scores of patches for methods without attention: what would change were a patch ordinary?

Both ask how the log odds ``log p / (1 - p)`` of a class depend on one patch. *Occlusion* gives
every patch in turn the mean features of its bag, which keeps the size of the bag and all places,
and takes the fall of the log odds (Zeiler and Fergus, ECCV 2014). The *gradient* is the same to
first order, ``(x_i - mean x) . d log odds / d x_i``, for one backward pass per class (Simonyan et
al., 2014, with the bag's mean as baseline). For a linear model they are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.bags.graph import with_edges
from mil_bench.errors import RunError
from mil_bench.method import Method, Output
from mil_bench.taxonomy import LEAF, Taxonomy

AT_ONCE = 8192  # patches of the copies of a bag that are computed together

Scores = dict[str, NDArray[np.float64]]
"""Level name -> ``(N, K_level)``."""


class NoGradientError(RunError):
    """The prediction of a method is cut off from its features."""


def by_gradient(method: Method, batch: BagBatch) -> Scores:
    """Relevance of the ``N`` patches of one bag for every class of every level.

    Raises ``NoGradientError`` for a method that detaches what it predicts from.
    """
    x = batch.features.detach().clone().requires_grad_()
    away = (x - x.mean(0)).detach()
    output = method(replace(batch, features=x))
    scores = {}
    for level, odds in log_odds(output, method.taxonomy).items():
        columns = [(away * _gradient(one, x, method)).sum(1) for one in odds[0]]
        scores[level] = torch.stack(columns, 1).double().cpu().numpy()
    return scores


def _gradient(odds: Tensor, x: Tensor, method: Method) -> Tensor:
    found = None
    if odds.requires_grad:
        [found] = torch.autograd.grad(odds, x, retain_graph=True, allow_unused=True)
    if found is None:
        raise NoGradientError(
            f"the prediction of {type(method).__name__} has no gradient; use --by occlusion."
        )
    return found


def by_occlusion(method: Method, batch: BagBatch) -> Scores:
    """Relevance as :func:`by_gradient`, exact, for ``N`` further forward passes."""
    with torch.inference_mode():
        whole = log_odds(method(batch), method.taxonomy)
        parts = [
            log_odds(method(copy), method.taxonomy) for copy in _occluded(batch, method.neighbours)
        ]
        return {
            level: (odds - torch.cat([part[level] for part in parts])).double().cpu().numpy()
            for level, odds in whole.items()
        }


def log_odds(output: Output, taxonomy: Taxonomy) -> dict[str, Tensor]:
    """Level -> ``(B, K_level)``: of the level's own head, else of its summed leaves.

    A level with a single class has no odds and is left out.
    """
    odds = {}
    for level in taxonomy.levels:
        if len(taxonomy.classes[level]) < 2:
            continue
        own = level in output.logits
        logits = output.logits[level if own else LEAF].float()
        below = np.eye(logits.shape[1]) if own else taxonomy.membership(level)
        inside = torch.from_numpy(below.T > 0).to(logits.device)  # (K_level, classes of logits)
        spread = logits.unsqueeze(1)  # (B, 1, classes of logits)
        for_it = spread.masked_fill(~inside, -torch.inf).logsumexp(2)
        odds[level] = for_it - spread.masked_fill(inside, -torch.inf).logsumexp(2)
    return odds


def _occluded(batch: BagBatch, neighbours: int) -> Iterator[BagBatch]:
    """Copies of the bag, in the order of its patches; each has one replaced by the mean."""
    x, n = batch.features, len(batch.features)
    mean, together = x.mean(0), max(1, AT_ONCE // n)
    for start in range(0, n, together):
        rows = range(start, min(start + together, n))
        copies = x.repeat(len(rows), 1, 1)
        for copy, row in zip(copies, rows, strict=True):
            copy[row] = mean
        coords = [batch.coords] * len(rows) if batch.coords is not None else None
        packed = BagBatch.pack(copies.unbind(), coords, slide_ids=batch.slide_ids * len(rows))
        yield with_edges(packed, neighbours)
