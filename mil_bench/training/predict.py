"""Predictions of a model for batches of bags."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.base.errors import RunError, counted
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.checked_methods import checked_output
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.method import Method
from mil_bench.contract.spec import Precision
from mil_bench.evaluation.predictions import Predictions
from mil_bench.nn.precision import autocast


def predict(
    method: Method, batches: Iterable[BagBatch], manifest: Manifest, precision: Precision
) -> Predictions:
    """Return probabilities of every head with the labels of ``manifest``, in batch order.

    Raises as :func:`predict_heads`.
    """
    slides, heads = predict_heads(method, batches, precision)
    labels, clusters = manifest.labels(), manifest.clusters()
    return Predictions(
        taxonomy=method.taxonomy,
        slide_ids=np.array(slides),
        groups=np.array([clusters[s] for s in slides]),
        labels=np.array([method.taxonomy.index(labels[s]) for s in slides], dtype=np.int64),
        heads=heads,
    )


def predict_heads(
    method: Method, batches: Iterable[BagBatch], precision: Precision
) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """Return slide ids, and by level the probabilities ``(n, K_level)``: a float64 softmax.

    The method must be in evaluation mode and the batches must have no labels; both are asserted.
    Raises ``RunError`` when a logit is not finite.
    """
    assert not method.training, "a method must be in evaluation mode to predict"
    logits: dict[str, list[Tensor]] = {}
    slides: list[str] = []
    with torch.inference_mode():  # no graph and no version counters
        for batch in batches:
            assert not batch.labels, "a method must not see labels when it predicts"
            with autocast(precision, batch.features.device):
                output = checked_output(method, method(batch), batch)
            for level, scores in output.logits.items():
                # On the device: reading every batch would wait for it.
                logits.setdefault(level, []).append(scores.double())
            slides += batch.slide_ids
        # One copy for all batches.
        stacked = {level: torch.cat(parts).cpu() for level, parts in logits.items()}
    for level, scores in stacked.items():
        infinite = [slides[i] for i in (~scores.isfinite().all(1)).nonzero().flatten().tolist()]
        if infinite:
            raise RunError(
                f"the {level} scores of {counted(len(infinite), 'slide is', 'slides are')} "
                "not finite (first: "
                f"{infinite[:3]}); lower lr, or use --precision 32."
            )
    return slides, {level: scores.softmax(1).numpy() for level, scores in stacked.items()}
