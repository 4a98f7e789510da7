"""Scores of the patches of one bag, per level and class, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from mil_bench.base.errors import RunError, UnknownNameError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import with_edges
from mil_bench.contract.method import Method, Output

ScoreKind = Literal["auto", "attention", "gradient", "occlusion"]
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
    """Return ``(N,)`` -> ``(rank - 1/2) / N`` in ``(0, 1)``; equal values share their mean rank."""
    ranks: NDArray[np.float64] = rankdata(values)
    return (ranks - 0.5) / len(values)  # in (0, 1), symmetric


def score_maps(method: Method, batch: BagBatch, by: ScoreKind = "auto") -> list[ScoreMap]:
    """Return the distinct maps of the one bag in ``batch``, from the top level down.

    ``auto`` is the method's own attention. A method without attention, or with the same for all
    patches, gets the gradient, and occlusion if its prediction has no gradient. Raises ``RunError``
    for ``attention`` or ``gradient`` of a method that does not have it.
    """
    if by in ("auto", "attention"):
        maps = _attention(method, batch)
        # Even attention shows nothing.
        if maps and (by == "attention" or any(map(_distinguishes, maps))):
            return maps
        if by == "attention":
            raise RunError(
                f"{type(method).__name__} has no attention; use --relevance gradient or occlusion."
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
    """Return the maps of a level and a class; a map shared by all classes stands for each of them.

    Raises ``UnknownNameError`` for what the tree does not have and ``RunError`` for a level that
    has no map.
    """
    if level is not None and level not in taxonomy.levels:
        raise UnknownNameError("level", level, taxonomy.levels, of=f"tree {taxonomy.name!r}")
    classes = [c for v in taxonomy.levels if level in (None, v) for c in taxonomy.classes[v]]
    if name is not None and name not in (ALL, *classes):
        raise UnknownNameError("class", name, classes, of=f"tree {taxonomy.name!r}")
    selected = [m for m in maps if level in (None, m.level) and name in (None, m.name)]
    selected = selected or [m for m in maps if m.name == ALL]  # a shared map is of every class
    if not selected:
        levels = ", ".join(dict.fromkeys(m.level for m in maps))
        raise RunError(
            f"there are scores of {levels} but none of {name or level}; use --relevance gradient."
        )
    return selected


def _distinguishes(score_map: ScoreMap) -> bool:
    """Whether a map separates patches; the map of a single patch counts as well."""
    return len(score_map.values) == 1 or not np.allclose(
        score_map.values, score_map.values[0], rtol=1e-5, atol=0
    )


def _explained(word: str, scores: LevelScores, tree: Taxonomy) -> list[ScoreMap]:
    return [
        ScoreMap(level, name, f"{word} (change of the log odds)", False, values[:, k])
        for level, values in scores.items()
        for k, name in enumerate(tree.classes[level])
    ]


def _attention(method: Method, batch: BagBatch) -> list[ScoreMap]:
    with torch.inference_mode():
        attention = method(batch).attention
    tree, sums_to_one = method.taxonomy, method.attention_is_distribution
    word = "attention" if sums_to_one else "own relevance"
    maps = []
    for level in tree.levels:
        if level in attention:
            maps += _columns(level, tree.classes[level], attention[level], word, sums_to_one)
        elif LEAF in attention and attention[LEAF].shape[1] == len(tree.leaves):
            # Attention of leaves adds up like probabilities.
            summed = _numbers(attention[LEAF]) @ tree.membership(level)
            maps += [
                ScoreMap(level, name, f"{word} of its leaves, summed", False, summed[:, k])
                for k, name in enumerate(tree.classes[level])
            ]
    return maps


def _columns(
    level: str, classes: Sequence[str], attention: Tensor, word: str, sums_to_one: bool
) -> list[ScoreMap]:
    values = _numbers(attention)
    branches = values.shape[1]
    if branches == len(classes):  # a column per class
        return [ScoreMap(level, c, word, sums_to_one, values[:, k]) for k, c in enumerate(classes)]
    if branches > 1:
        word = f"{word}, mean of {branches} branches"
    return [ScoreMap(level, ALL, word, sums_to_one, values.mean(1))]


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().cpu().numpy()


# Scores by gradient and by occlusion.
#
# Both ask how the log odds ``log p / (1 - p)`` of a class depend on one patch. *Occlusion* gives
# every patch in turn the mean features of its bag, which keeps the size of the bag and all places,
# and takes the fall of the log odds (Zeiler and Fergus, ECCV 2014). The *gradient* is the same to
# first order, ``(x_i - mean x) . d log odds / d x_i``, for one backward pass per class (Simonyan et
# al., 2014, with the bag's mean as baseline). For a linear model they are equal.

AT_ONCE = 8192  # patches of the copies of a bag that are computed together

LevelScores = dict[str, NDArray[np.float64]]
"""Level name -> ``(N, K_level)``."""


class NoGradientError(RunError):
    """The prediction of a method is cut off from its features."""


def by_gradient(method: Method, batch: BagBatch) -> LevelScores:
    """Return the relevance of the ``N`` patches of one bag for every class of every level.

    Raises ``NoGradientError`` for a method that detaches what it predicts from.
    """
    # A copy: features are shared and read-only.
    x = batch.features.detach().clone().requires_grad_()
    away = (x - x.mean(0)).detach()  # the bag's mean as baseline
    output = method(replace(batch, features=x))
    scores = {}
    for level, odds in log_odds(output, method.taxonomy).items():
        # (x_i - mean x) . gradient
        columns = [(away * _gradient(class_odds, x, method)).sum(1) for class_odds in odds[0]]
        scores[level] = torch.stack(columns, 1).double().cpu().numpy()
    return scores


def _gradient(odds: Tensor, x: Tensor, method: Method) -> Tensor:
    gradient = None
    if odds.requires_grad:
        # Retained for the next class.
        [gradient] = torch.autograd.grad(odds, x, retain_graph=True, allow_unused=True)
    if gradient is None:
        raise NoGradientError(
            f"the prediction of {type(method).__name__} has no gradient; use --relevance occlusion."
        )
    return gradient


def by_occlusion(method: Method, batch: BagBatch) -> LevelScores:
    """Return relevance as :func:`by_gradient` does, exact, for ``N`` further forward passes."""
    with torch.inference_mode():
        whole = log_odds(method(batch), method.taxonomy)
        parts = [
            log_odds(method(copy), method.taxonomy) for copy in _occluded(batch, method.neighbours)
        ]
        return {
            # The fall of the log odds.
            level: (odds - torch.cat([part[level] for part in parts])).double().cpu().numpy()
            for level, odds in whole.items()
        }


def log_odds(output: Output, taxonomy: Taxonomy) -> dict[str, Tensor]:
    """Return the log odds ``(B, K_level)`` per level: of its head, else of its summed leaves.

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
        # Log of the summed probability.
        for_it = spread.masked_fill(~inside, -torch.inf).logsumexp(2)
        # Minus that of all others.
        odds[level] = for_it - spread.masked_fill(inside, -torch.inf).logsumexp(2)
    return odds


def _occluded(batch: BagBatch, neighbours: int) -> Iterator[BagBatch]:
    """Copies of the bag, in the order of its patches; each has one replaced by the mean."""
    x, n = batch.features, len(batch.features)
    mean, together = x.mean(0), max(1, AT_ONCE // n)  # as many copies as fit the budget
    for start in range(0, n, together):
        rows = range(start, min(start + together, n))
        copies = x.repeat(len(rows), 1, 1)
        for copy, row in zip(copies, rows, strict=True):
            copy[row] = mean
        coords = [batch.coords] * len(rows) if batch.coords is not None else None
        packed = BagBatch.pack(copies.unbind(), coords, slide_ids=batch.slide_ids * len(rows))
        yield with_edges(packed, neighbours)  # a graph depends on places only, but is per batch
