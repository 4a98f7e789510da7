"""Cohorts of full size for a GPU: W1 is 437 slides there, an epoch of the real BRACS."""

from __future__ import annotations

import numpy as np

from benchmarks.workloads import TREE, Cohort, Workload
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.store import BagStore

BLOCK = 4096  # rows of noise, repeated: the speed of a step does not depend on the numbers


def repeated_cohort(workload: Workload, bags: int, seed: int = 0) -> Cohort:
    """Return ``bags`` training bags of ``workload``, float16, of one block of noise over
    and over.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.permutation(workload.sizes(bags))
    block = rng.standard_normal((BLOCK, workload.dim), dtype=np.float32).astype(np.float16)
    features = np.empty((int(sizes.sum()), workload.dim), np.float16)
    for start in range(0, len(features), BLOCK):
        part = features[start : start + BLOCK]
        part[:] = block[: len(part)]
    slides = [f"slide-{i}" for i in range(bags)]
    starts = np.cumsum([0, *sizes[:-1]])
    spans = zip(starts.tolist(), sizes.tolist(), strict=True)
    return Cohort(
        BagStore("repeated", features, None, dict(zip(slides, spans, strict=True)), "repeated"),
        Manifest.build(slides, [TREE.leaves[i % len(TREE.leaves)] for i in range(bags)]),
        tuple(slides),
        (),
    )
