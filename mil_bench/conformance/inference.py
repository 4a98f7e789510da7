"""Evaluation: the same every time, without labels, with attention that is one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.conformance.candidate import Candidate
from mil_bench.conformance.check import Broken, Doubtful, check
from mil_bench.conformance.samples import (
    TREES,
    same,
    seen_by,
    tensors,
    three_levels,
    usual_batch,
)
from mil_bench.method import Method
from mil_bench.taxonomy import LEAF

SUM = 1e-6


@check("evaluation", "draw nothing at random in eval(): use self.training, and fixed permutations")
def deterministic(method: Candidate) -> str:
    """The same bags score the same twice, and in a model made again from the same seed."""
    model, batch = _evaluated(method)
    first, second = (_scores(model, batch, seed) for seed in (11, 12))
    _require_equal(first, second, "in a second pass")
    again = _scores(method.make(three_levels()).eval(), batch)
    _require_equal(first, again, "in a model of the same seed")
    return "the same in every pass, and in every model of the same seed"


@check("labels", "forward must not read batch.labels: what needs them belongs into loss")
def blind(method: Candidate) -> str:
    """Scores are the same without labels and with other labels."""
    model, batch = _evaluated(method)
    others = {level: labels.roll(1) for level, labels in batch.labels.items()}
    first = _scores(model, batch)
    _require_equal(first, _scores(model, replace(batch, labels=others)), "with other labels")
    _require_equal(first, _scores(model, batch.without_labels()), "without labels")
    return "not read at inference"


@check(
    "attention",
    "give Output.attention['leaf'], softmax within each bag; for raw relevance declare "
    "attention_is_distribution = False",
)
def attention(method: Candidate) -> str:
    """Weights are a distribution over each bag, or declared to be raw relevance."""
    for tree in TREES:
        model = method.make(tree()).eval()
        batch = usual_batch(tree())
        given = model(seen_by(model, batch)).attention
        if LEAF not in given:
            raise Doubtful("none for the leaves: heatmaps and localisation take the gradient")
        if not method.kind.attention_is_distribution:
            continue
        for level, weights in given.items():
            if (weights < 0).any():
                raise Broken(f"{level}: the smallest weight is {weights.min().item():.3g}")
            for bag in weights.split(list(batch.sizes)):
                if ((bag.sum(0) - 1).abs() > SUM).any():
                    sums = ", ".join(f"{total:.3g}" for total in bag.sum(0).tolist()[:3])
                    raise Broken(f"{level}: weights of a bag of {len(bag)} sum to {sums}")
    if method.kind.attention_is_distribution:
        return "sums to one within each bag"
    return "declared raw relevance"


def _evaluated(method: Candidate) -> tuple[Method, BagBatch]:
    model = method.make(three_levels()).eval()
    return model, seen_by(model, usual_batch(three_levels()))


def _scores(model: Method, batch: BagBatch, seed: int = 11) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return tensors(model(batch))


def _require_equal(first: dict[str, Tensor], second: dict[str, Tensor], when: str) -> None:
    for key, value in second.items():
        if not same(value, first[key]):
            raise Broken(f"{key} differ {when}")
