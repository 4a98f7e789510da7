"""Runs of several methods on the same slides of the same patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from prediction_cases import BRACS, random_predictions
from run_folders import finish, make_spec

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect


def paired_predictions(skill, fold=0, number=0, *, n=90, patients=40, tree=BRACS, heads=()):
    """Truth, slides and patients depend on the fold alone; ``number`` is the model."""
    rng = np.random.default_rng(fold)
    truth = rng.integers(0, len(tree.leaves), n)
    p = random_predictions(tree, seed=1000 * fold + number, skill=skill, heads=heads, labels=truth)
    return replace(
        p,
        slide_ids=np.array([f"f{fold}-{s}" for s in p.slide_ids]),
        groups=np.array([f"f{fold}-p{i}" for i in rng.integers(0, patients, n)]),
    )


def write_grid(runs, skills, *, seeds=2, folds=5, share=0.25, swing=0.0, **changes):
    """A run per method, seed and fold; ``skills`` maps methods to how good they are.

    ``share`` is test slides per training slide. ``swing`` makes the first method better and worse
    from fold to fold.
    """
    for m, (method, skill) in enumerate(skills.items()):
        for fold in range(folds):
            for seed in range(seeds):
                now = skill + (swing * (-1) ** fold if m == 0 else 0)
                p = paired_predictions(now, fold, 10 * m + seed, **changes)
                tree = changes.get("tree", BRACS)
                spec = make_spec(method, seed=seed, fold=fold, tree=tree)
                finish(runs, spec, p, n_train=round(len(p) / share))
    return runs


def analysis_of(runs, replicates=400):
    (board,) = build_boards(collect(runs))
    return Analysis.of(board, replicates)
