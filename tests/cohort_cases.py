"""Cells of predictions whose patients have several slides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from prediction_cases import BRACS, random_predictions


def patients_of(p, number, seed=0):
    """``p`` with its slides dealt out to about ``number`` patients."""
    drawn = np.random.default_rng(seed).integers(0, number, len(p))
    return replace(p, groups=np.array([f"p{i}" for i in drawn]))


def named(p, prefix):
    """``p`` with other slide and patient names."""
    return replace(
        p,
        slide_ids=np.array([f"{prefix}{s}" for s in p.slide_ids]),
        groups=np.array([f"{prefix}{g}" for g in p.groups]),
    )


def cells(seeds=2, folds=3, n=60, patients=25, skill=1.0, tree=BRACS, method=0, heads=("coarse",)):
    """Predictions by (seed, fold); truth and patients depend on the fold alone."""
    found = {}
    for fold in range(folds):
        truth = np.random.default_rng(fold).integers(0, len(tree.leaves), n)
        for seed in range(seeds):
            number = 100 * fold + 10 * seed + method
            p = random_predictions(tree, seed=number, skill=skill, heads=heads, labels=truth)
            found[seed, fold] = named(patients_of(p, patients, seed=fold), f"f{fold}-")
    return found
