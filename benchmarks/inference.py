"""How long intervals of every score take, beside a loop over scikit-learn.

python -m benchmarks.inference
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import metrics as sk

from benchmarks.command import run
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.simulated_scores import BRACS, PANDA, Sampling, predictions_of
from benchmarks.table import Table
from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.inference.bootstrap import replicate
from mil_bench.evaluation.inference.resampling import REPLICATES, Resampling
from mil_bench.evaluation.predictions import Predictions

CPU = torch.device("cpu")
SIZES: Final[dict[str, Sampling]] = {"BRACS test set": BRACS, "PANDA": PANDA}
METHODS = 7
TASTE = 5
"""Replicates of the scikit-learn loop that are timed; the rest of them would take as long each."""


def inference(
    rounds: int = 3,
) -> None:
    """Measure, print the table, keep the rows by hardware."""
    rows = [measure(title, size, rounds) for title, size in SIZES.items()]
    keep(results_path("inference", CPU), rows, ("size",), CPU)
    print_inference(rows)


def measure(title: str, size: Sampling, rounds: int) -> ResultRow:
    """Return seconds for all scores of seven methods in 2,000 replicates."""
    rng = np.random.default_rng(0)
    cohort = size.draw(rng)
    methods = [predictions_of(size, cohort, rng, heads=True) for _ in range(METHODS)]
    if title == "PANDA":  # no patient ids are public
        methods = [replace(p, groups=p.slide_ids) for p in methods]
    seconds, scores = [], 0
    for _ in range(rounds):
        start = time.perf_counter()
        resampling = Resampling.of(methods[:1])
        for p in methods:
            scores = len(replicate({(0, 0): p}, resampling))
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    for weights in resampling.of_slides(methods[0]).T[1 : 1 + TASTE]:
        by_scikit_learn(methods[0], weights.astype(np.float64))
    loop = (time.perf_counter() - start) / TASTE * METHODS * REPLICATES
    counts = {
        "slides": len(methods[0]),
        "scores": scores,
        "cores_used": len(os.sched_getaffinity(0)),
    }
    return {"size": title, **counts, "seconds": seconds, "scikit_learn_seconds": loop}


def by_scikit_learn(p: Predictions, weight: NDArray[np.float64]) -> dict[str, float]:
    """Return most of the scores of the leaves in one replicate: fewer than ours, and no other
    level.
    """
    probs, decision = p.heads[LEAF], p.heads[LEAF].argmax(1)
    w = {"sample_weight": weight}
    found = {
        "accuracy": sk.accuracy_score(p.labels, decision, **w),
        "balanced_accuracy": sk.balanced_accuracy_score(p.labels, decision, **w),
        "macro_f1": sk.f1_score(p.labels, decision, average="macro", **w),
        "qwk": sk.cohen_kappa_score(p.labels, decision, weights="quadratic", **w),
        "log_loss": sk.log_loss(p.labels, probs, labels=range(probs.shape[1]), **w),
    }
    for k in range(probs.shape[1]):
        positive, decided = p.labels == k, decision == k
        found |= {
            f"auc {k}": sk.roc_auc_score(positive, probs[:, k], **w),
            f"ap {k}": sk.average_precision_score(positive, probs[:, k], **w),
            f"sensitivity {k}": sk.recall_score(positive, decided, zero_division=0, **w),
            f"specificity {k}": sk.recall_score(~positive, ~decided, zero_division=0, **w),
            f"ppv {k}": sk.precision_score(positive, decided, zero_division=0, **w),
            f"npv {k}": sk.precision_score(~positive, ~decided, zero_division=0, **w),
        }
    return found


def print_inference(rows: Sequence[ResultRow]) -> None:
    """Print seconds of ours, and of a loop that computes less."""
    lines = []
    for row in rows:
        ours, loop = float(np.median(row["seconds"])), row["scikit_learn_seconds"]
        size = f"{row['size']}, {row['slides']:,} slides"
        spread = f"{min(row['seconds']):.2f} to {max(row['seconds']):.2f}"
        cells = (str(row["scores"]), f"{ours:.2f}", spread, f"{loop:,.0f}", f"{loop / ours:,.0f}")
        lines.append((size, *cells))
    heads = ("", "scores", "ours s", "range", "scikit-learn s", "ratio")
    cores = " or ".join(sorted({str(row["cores_used"]) for row in rows}))
    title = f"{METHODS} methods, {REPLICATES:,} replicates, every score, on {cores} core(s)"
    note = f"scikit-learn: {TASTE} replicates of one method timed, leaf scores only"
    print(Table(title, heads, lines, [note]))


if __name__ == "__main__":
    run(inference)
