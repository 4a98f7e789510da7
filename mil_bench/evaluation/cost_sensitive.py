"""Leaf decisions that expect the least harm: what a flat model can do with the tree, untrained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.predictions import Predictions
from mil_bench.taxonomy import LEAF


def least_risk(probs: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """``(n,)``: ``argmin_u sum_v p(v) C[v, u]``, conditional risk minimisation.

    ``probs`` ``(n, K)``, ``cost`` ``(K, K)``: row = true class, column = decided class (Duda et al.
    2000; Karthik et al., ICLR 2021). The first of equals; with a cost of 1 for every mistake it is
    the most probable class.
    """
    return np.asarray((probs @ cost).round(12).argmin(1))


def least_risk_leaf(p: Predictions) -> NDArray[np.int64]:
    """``(n,)`` leaf of least risk, where a mistake costs the height of the common ancestor."""
    return least_risk(p.heads[LEAF], p.taxonomy.lca_height)
