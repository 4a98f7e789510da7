"""What a batch may and may not change: company, order, dtype; and that its features stay as is."""

from __future__ import annotations

import torch
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.conformance.candidate import Candidate
from mil_bench.conformance.check import Broken, check
from mil_bench.conformance.samples import (
    TREES,
    flat,
    make_batch,
    seen_by,
    tensors,
    three_levels,
    total,
    usual_batch,
)
from mil_bench.method import Method
from mil_bench.taxonomy import LEAF

SAME = 1e-7  # of float64
MANY = 130  # patches: more than any window, region or landmark of a small model


@check(
    "batch = singles",
    "pool within bags (mil_bench/nn/segment.py), not over the rows of the batch",
)
def alone_as_in_a_batch(method: Candidate) -> str:
    """A bag by itself has the scores and the attention that it has in a batch."""
    for tree in TREES:
        batch = usual_batch(tree())
        model = method.make(tree()).eval()
        together = tensors(model(seen_by(model, batch)))
        alone = [tensors(model(seen_by(model, bag))) for bag in batch.bags()]
        for key, value in together.items():
            _require_same(torch.cat([one[key] for one in alone]), value, f"{key} of bags alone")
    return "a bag alone scores as it does in a batch"


@check(
    "order of patches",
    "set order_dependent to what is true; where the order matters, see mil_bench/nn/order.py",
)
def order(method: Candidate) -> str:
    """The order of patches matters exactly where that is declared."""
    batch = make_batch((MANY,), (1,), three_levels())
    model = method.make(three_levels()).eval()
    rows = torch.randperm(MANY, generator=torch.Generator().manual_seed(0))
    shuffled = batch.take(rows, (MANY,))
    logits, again = (model(seen_by(model, one)).logits for one in (batch, shuffled))
    change = max(_difference(logits[level], again[level]) for level in logits)
    if change > SAME and not method.kind.order_dependent:
        raise Broken(f"not declared, but another order of patches changes logits by {change:.2g}")
    if change <= SAME and method.kind.order_dependent:
        raise Broken("declared to matter, but another order of patches changes nothing")
    return "declared: it matters" if method.kind.order_dependent else "changes nothing"


@check(
    "features",
    "never write to batch.features: it is often a view of the packed file, and a write kills",
)
def features_untouched(method: Candidate) -> str:
    """Features are read only, in training and in evaluation."""
    model = method.make(flat())
    batch = seen_by(model, usual_batch(flat()))
    _require_untouched(model, batch)
    return "never written to"


@check("float16 features", "give new tensors the dtype of their sources, such as new_zeros")
def half_features(method: Candidate) -> str:
    """Features stored in half precision, cast to float32 as the harness does, score as such."""
    model = method.make(flat(3)).float().eval()
    half = torch.randn(7, 6, generator=torch.Generator().manual_seed(0)).half()
    coords, labels = torch.arange(14.0).view(7, 2), {LEAF: torch.tensor([0])}
    batches = (BagBatch.pack([bag], [coords], labels) for bag in (half, half.float()))
    cast, plain = (seen_by(model, batch.to("cpu", torch.float32)) for batch in batches)
    _require_same(model(cast).logits[LEAF], model(plain).logits[LEAF], "logits of float16 features")
    return "score as their float32 values"


@check("bfloat16", "cast what autocast changes; mil_bench/nn/casting.py helps")
def mixed_precision(method: Candidate) -> str:
    """A step under bfloat16 autocast (``--precision bf16``) has finite losses."""
    model = method.make(flat()).float()
    batch = seen_by(model, usual_batch(flat()).to("cpu", torch.bfloat16))
    with torch.autocast("cpu", torch.bfloat16):
        _require_untouched(model, batch)
    return "a step with --precision bf16 works"


def _require_untouched(model: Method, batch: BagBatch) -> None:
    """A step in training and one in evaluation leave the features as they are."""
    before, version = batch.features.clone(), batch.features._version
    for training in (True, False):
        model.train(training)
        loss = total(model.loss(model(batch), batch, 0.5))
        if not loss.isfinite():
            raise Broken(f"the loss is {loss.item()}")
        loss.backward()  # type: ignore[no-untyped-call]
    if batch.features._version != version or not torch.equal(batch.features, before):
        raise Broken("batch.features is written to")


def _require_same(value: Tensor, expected: Tensor, what: str) -> None:
    if value.shape != expected.shape:
        raise Broken(f"{what}: shape {tuple(value.shape)}, expected {tuple(expected.shape)}")
    if _difference(value, expected) > SAME:
        raise Broken(f"{what} differ by {_difference(value, expected):.2g}")


def _difference(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative where values are large."""
    return ((a - b).abs() / b.abs().clamp(min=1)).max().item()
