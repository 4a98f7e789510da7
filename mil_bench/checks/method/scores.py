"""What may and may not change the scores of a bag: batch, order, dtype, repetition, labels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mil_bench.base.taxonomy import LEAF
from mil_bench.checks.method.check import Broken, Candidate, Doubtful, check
from mil_bench.checks.method.samples import (
    TREES,
    flat,
    make_batch,
    same,
    seen_by,
    tensors,
    three_levels,
    total,
    usual_batch,
)
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method

SAME = 1e-7  # of float64
MANY = 130  # patches: more than any window, region or landmark of a small model


@check(
    "batch = singles",
    "pool within bags (mil_bench/nn/segment.py), not over the rows of the batch",
)
def alone_as_in_a_batch(method: Candidate) -> str:
    """A bag has the same scores and attention alone and in a batch."""
    for tree in TREES:
        batch = usual_batch(tree())
        model = method.make(tree()).eval()
        together = tensors(model(seen_by(model, batch)))
        alone = [tensors(model(seen_by(model, bag))) for bag in batch.bags()]
        for key, value in together.items():
            _require_same(torch.cat([bag[key] for bag in alone]), value, f"{key} of bags alone")
    return "a bag scores the same alone and in a batch"


@check(
    "order of patches",
    "set order_dependent correctly; if the order matters, mil_bench.Ordered sorts the patches",
)
def order(method: Candidate) -> str:
    """The order of patches matters if and only if that is declared."""
    batch = make_batch((MANY,), (1,), three_levels())
    model = method.make(three_levels()).eval()
    rows = torch.randperm(MANY, generator=torch.Generator().manual_seed(0))
    shuffled = batch.take(rows, (MANY,))  # rows with their coordinates
    logits, again = (model(seen_by(model, bags)).logits for bags in (batch, shuffled))
    change = max(_difference(logits[level], again[level]) for level in logits)
    # Both ways: an undeclared order breaks boards, a false declaration costs sorting.
    if change > SAME and not method.kind.order_dependent:
        raise Broken(f"not declared, but the order of patches changes logits by {change:.2g}")
    if change <= SAME and method.kind.order_dependent:
        raise Broken("declared, but the order of patches changes nothing")
    return "the order matters, as declared" if method.kind.order_dependent else "changes nothing"


@check(
    "features",
    "never write to batch.features: it is often a view of a read-only file, and writing crashes",
)
def features_untouched(method: Candidate) -> str:
    """Features are never modified, in training and in evaluation."""
    model = method.make(flat())
    batch = seen_by(model, usual_batch(flat()))
    _require_untouched(model, batch)
    return "never modified"


@check(
    "float16 features", "create tensors with the dtype of their sources, as x.new_zeros(...) does"
)
def half_features(method: Candidate) -> str:
    """Features stored in half precision and cast to float32 score like float32 features."""
    model = method.make(flat(3)).float().eval()
    # (7, 6) of a network in half precision
    half = torch.randn(7, 6, generator=torch.Generator().manual_seed(0)).half()
    coords, labels = torch.arange(14.0).view(7, 2), {LEAF: torch.tensor([0])}
    batches = (BagBatch.pack([bag], [coords], labels) for bag in (half, half.float()))
    cast, plain = (seen_by(model, batch.to("cpu", torch.float32)) for batch in batches)
    _require_same(model(cast).logits[LEAF], model(plain).logits[LEAF], "logits of float16 features")
    return "score like their float32 values"


@check(
    "bfloat16", "cast what autocast changes, with the functions of mil_bench/contract/numerics.py"
)
def mixed_precision(method: Candidate) -> str:
    """A step under bfloat16 autocast (``--precision bf16``) has finite losses."""
    model = method.make(flat()).float()
    batch = seen_by(model, usual_batch(flat()).to("cpu", torch.bfloat16))
    with torch.autocast("cpu", torch.bfloat16):
        _require_untouched(model, batch)
    return "a step with --precision bf16 works"


def _require_untouched(model: Method, batch: BagBatch) -> None:
    """A step in training and one in evaluation leave the features unchanged."""
    # _version counts writes, also such that are undone.
    before, version = batch.features.clone(), batch.features._version
    for training in (True, False):
        model.train(training)
        loss = total(model.loss(model(batch), batch, 0.5))
        if not loss.isfinite():
            raise Broken(f"the loss is {loss.item()}")
        loss.backward()  # type: ignore[no-untyped-call]
    if batch.features._version != version or not torch.equal(batch.features, before):
        raise Broken("batch.features is modified")


def _require_same(value: Tensor, expected: Tensor, what: str) -> None:
    if value.shape != expected.shape:
        raise Broken(f"{what}: shape {tuple(value.shape)}, expected {tuple(expected.shape)}")
    if _difference(value, expected) > SAME:
        raise Broken(f"{what} differ by {_difference(value, expected):.2g}")


def _difference(a: Tensor, b: Tensor) -> float:
    """Return the largest difference, relative where values are large."""
    return ((a - b).abs() / b.abs().clamp(min=1)).max().item()  # absolute below 1


SUM = 1e-6


@check("evaluation", "draw no random numbers in eval(): check self.training, fix permutations")
def deterministic(method: Candidate) -> str:
    """The same bags score the same twice, and in another model of the same seed."""
    model, batch = _evaluated(method)
    # Two seeds, so that randomness in eval() shows.
    first, second = (_scores(model, batch, seed) for seed in (11, 12))
    _require_equal(first, second, "in a second pass")
    again = _scores(method.make(three_levels()).eval(), batch)
    _require_equal(first, again, "in a model of the same seed")
    return "the same in every pass, and in every model of the same seed"


@check("labels", "forward must not read batch.labels: what requires them belongs in loss")
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
    "return Output.attention['leaf'] with a softmax within each bag; for raw relevance set "
    "attention_is_distribution = False",
)
def attention_sums(method: Candidate) -> str:
    """Weights are a distribution over each bag, or declared to be raw relevance."""
    for tree in TREES:
        model = method.make(tree()).eval()
        batch = usual_batch(tree())
        attention = model(seen_by(model, batch)).attention
        if LEAF not in attention:
            raise Doubtful("none for the leaves: heatmaps and localisation use the gradient")
        if not method.kind.attention_is_distribution:
            continue
        for level, weights in attention.items():
            if (weights < 0).any():
                raise Broken(f"{level}: the smallest weight is {weights.min().item():.3g}")
            for bag in weights.split(list(batch.sizes)):  # per bag, not over the batch
                if ((bag.sum(0) - 1).abs() > SUM).any():
                    sums = ", ".join(f"{total:.3g}" for total in bag.sum(0).tolist()[:3])
                    raise Broken(f"{level}: weights of a bag of {len(bag)} sum to {sums}")
    if method.kind.attention_is_distribution:
        return "sums to one within each bag"
    return "declared as raw relevance"


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
