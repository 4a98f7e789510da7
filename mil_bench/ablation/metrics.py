"""Which scores a study shows, and at which level of the tree each belongs."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.base.errors import UnknownNameError
from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.scores import scores_by_name

AUC = "macro_auc"


def chosen_metrics(tree: Taxonomy, names: Sequence[str]) -> list[Score]:
    """Return the named scores, by default balanced accuracy and AUC of the leaf and the top level.

    The top level has both decisions: leaves summed, which every method has, and the direct head.
    Raises ``UnknownNameError`` for a score that this tree does not have.
    """
    scores = scores_by_name(tree)
    for name in names:
        if name not in scores:
            raise UnknownNameError("metric", name, [*scores], of=f"tree {tree.name!r}")
    if names:
        return [scores[name] for name in dict.fromkeys(names)]
    top = [
        Score(metric, COARSE, source)
        for source in ("summed", "direct")
        for metric in (PRIMARY, AUC)
    ]
    return [Score(PRIMARY), Score(AUC), *(top if tree.depth > 1 else [])]


def by_level(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Group scores by table: ``leaf``, ``coarse summed``, ``coarse direct``.

    Scores of the whole tree are with the leaves.
    """
    levels: dict[str, list[Score]] = {}
    for score in scores:
        place = LEAF if score.plain or score.level == LEAF else f"{score.level} {score.source}"
        levels.setdefault(place, []).append(score)
    return levels


def title(score: Score) -> str:
    """Return the score's title without its level, which is above the table."""
    *_, last = by_level([score])
    return score.facts.title.removeprefix(f"{last} ")
