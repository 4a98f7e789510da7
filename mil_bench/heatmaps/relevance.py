"""Scores of the patches of one bag, per level and class, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.errors import RunError, UnknownNameError
from mil_bench.heatmaps.explain import NoGradientError, Scores, by_gradient, by_occlusion
from mil_bench.method import Method
from mil_bench.taxonomy import LEAF, Taxonomy

By = Literal["auto", "attention", "gradient", "occlusion"]
ALL = "all classes"


@dataclass(frozen=True)
class ScoreMap:
    """``values`` ``(N,)`` raw scores of the patches; ``name`` a class of ``level``, or :data:`ALL`.

    ``source`` says in words what the scores are. ``sums_to_one`` is true of attention that is a
    distribution over the bag.
    """

    level: str
    name: str
    source: str
    sums_to_one: bool
    values: NDArray[np.float64]

    @property
    def title(self) -> str:
        """``leaf: DCIS``."""
        return f"{self.level}: {self.name}"

    @property
    def ranks(self) -> NDArray[np.float64]:
        """Percentile rank of every patch within the bag."""
        return percentile_ranks(self.values)


def percentile_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(N,)`` -> ``(rank - 1/2) / N`` in ``(0, 1)``; equal values share their mean rank."""
    ranks: NDArray[np.float64] = rankdata(values)
    return (ranks - 0.5) / len(values)


def score_maps(method: Method, batch: BagBatch, by: By = "auto") -> list[ScoreMap]:
    """The distinct maps of the one bag in ``batch``, from the top level down.

    ``auto`` is the method's own attention; where it has none, or the same for all patches, the
    gradient; and occlusion where the prediction has no gradient. Raises ``RunError`` when
    ``attention`` or ``gradient`` is asked of a method without.
    """
    if by in ("auto", "attention"):
        maps = _attention(method, batch)
        if maps and (by == "attention" or any(map(_tells, maps))):
            return maps
        if by == "attention":
            raise RunError(
                f"{type(method).__name__} has no attention; use --by gradient or --by occlusion."
            )
    if by == "occlusion":
        return _explained("occlusion", by_occlusion(method, batch), method.taxonomy)
    try:
        return _explained("gradient", by_gradient(method, batch), method.taxonomy)
    except NoGradientError:
        if by == "gradient":
            raise
    return _explained("occlusion", by_occlusion(method, batch), method.taxonomy)


def select(
    maps: Sequence[ScoreMap], taxonomy: Taxonomy, level: str | None, name: str | None
) -> list[ScoreMap]:
    """The maps of a level and a class; attention that is one for all classes stands for each.

    Raises ``UnknownNameError`` for what the tree does not have and ``RunError`` for a level that
    has no map.
    """
    if level is not None and level not in taxonomy.levels:
        raise UnknownNameError("level", level, taxonomy.levels, of=f"tree {taxonomy.name!r}")
    known = [c for v in taxonomy.levels if level in (None, v) for c in taxonomy.classes[v]]
    if name is not None and name not in (ALL, *known):
        raise UnknownNameError("class", name, known, of=f"tree {taxonomy.name!r}")
    found = [m for m in maps if level in (None, m.level) and name in (None, m.name)]
    found = found or [m for m in maps if m.name == ALL]
    if not found:
        levels = ", ".join(dict.fromkeys(m.level for m in maps))
        raise RunError(
            f"there are scores of {levels} and none of {name or level}; use --by gradient."
        )
    return found


def _tells(one: ScoreMap) -> bool:
    """Whether a map says anything: it is of one patch, or not the same for all."""
    return len(one.values) == 1 or not np.allclose(one.values, one.values[0], rtol=1e-5, atol=0)


def _explained(word: str, scores: Scores, tree: Taxonomy) -> list[ScoreMap]:
    return [
        ScoreMap(level, name, f"{word} (change of the log odds)", False, values[:, k])
        for level, values in scores.items()
        for k, name in enumerate(tree.classes[level])
    ]


def _attention(method: Method, batch: BagBatch) -> list[ScoreMap]:
    with torch.inference_mode():
        attention = method(batch).attention
    tree, one = method.taxonomy, method.attention_is_distribution
    word = "attention" if one else "own relevance"
    maps = []
    for level in tree.levels:
        if level in attention:
            maps += _columns(level, tree.classes[level], attention[level], word, one)
        elif LEAF in attention and attention[LEAF].shape[1] == len(tree.leaves):
            summed = _numbers(attention[LEAF]) @ tree.membership(level)
            maps += [
                ScoreMap(level, name, f"{word} of its leaves, summed", False, summed[:, k])
                for k, name in enumerate(tree.classes[level])
            ]
    return maps


def _columns(
    level: str, classes: Sequence[str], attention: Tensor, word: str, one: bool
) -> list[ScoreMap]:
    values = _numbers(attention)
    branches = values.shape[1]
    if branches == len(classes):
        return [ScoreMap(level, c, word, one, values[:, k]) for k, c in enumerate(classes)]
    if branches > 1:
        word = f"{word}, mean of {branches} branches"
    return [ScoreMap(level, ALL, word, one, values.mean(1))]


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().cpu().numpy()
