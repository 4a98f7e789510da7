"""Which scores a study shows, and at which level of the tree each belongs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mil_bench.base.errors import UnknownNameError
from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.evaluation.metrics import METRICS, PRIMARY, facts
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.scores import Scores

AUC = "macro_auc"


def chosen_metrics(tree: Taxonomy, asked: Sequence[str]) -> list[str]:
    """The scores asked for; without any, balanced accuracy and AUC of the leaf and the top level.

    The top level has both decisions: leaves summed, which every method has, and its own head.
    Raises ``UnknownNameError`` for a score that this tree does not have.
    """
    known = _known(tree)
    for name in asked:
        if name not in known:
            raise UnknownNameError("metric", name, known, of=f"tree {tree.name!r}")
    if asked:
        return list(dict.fromkeys(asked))
    top = [
        f"{COARSE}_{source}_{name}" for source in ("summed", "direct") for name in (PRIMARY, AUC)
    ]
    return [PRIMARY, AUC, *(top if tree.depth > 1 else [])]


def score(scores: Scores, metric: str) -> float | None:
    """A score by name; ``None`` where the method does not have it (no head of its own)."""
    return scores.overall.get(metric, scores.hierarchical.get(metric))


def by_level(metrics: Sequence[str]) -> dict[str, list[str]]:
    """``leaf``, ``coarse summed``, ``coarse direct``: each with its scores, a table each.

    Scores of the whole tree stand with the leaves.
    """
    levels: dict[str, list[str]] = {}
    for metric in metrics:
        level, *rest = metric.split("_")
        place = LEAF if metric in METRICS or level == LEAF else f"{level} {rest[0]}"
        levels.setdefault(place, []).append(metric)
    return levels


def title(metric: str) -> str:
    """The score's title without its level, which stands above the table."""
    *_, last = by_level([metric])
    return facts(metric).title.removeprefix(f"{last} ")


def _known(tree: Taxonomy) -> list[str]:
    """Every score of a method that has a head for every level."""
    names = np.array(tree.leaves)
    heads = {
        level: np.full((len(names), len(classes)), 1 / len(classes))
        for level, classes in tree.classes.items()
    }
    scores = Scores.of(Predictions(tree, names, names, np.arange(len(names)), heads))
    return [*scores.overall, *scores.hierarchical]
