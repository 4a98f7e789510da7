"""Finite scores and losses for bags, features and label trees of any size."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from mil_bench.base.errors import MilBenchError
from mil_bench.checks.method.check import Candidate, NotFinite, check
from mil_bench.checks.method.samples import (
    TREES,
    flat,
    make_batch,
    seen_by,
    tensors,
    three_levels,
    usual_batch,
)
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method

CASES = ((2, 1), (3, 2), (4, 20), (7, 6), (30, 9))  # classes, dimension of features
SIZES = (13, 20, 16)  # small bags have their own check
PROGRESS = (0.0, 0.3, 1.0)
LARGEST = 12


@check("numbers", "never divide by what can be 0; take logarithms by log_softmax, or clamp first")
def numbers(method: Candidate) -> str:
    """Scores and losses of normal bags are finite at any time in training."""
    for tree in TREES:
        model, batch = method.make(tree()), usual_batch(tree())
        _require_scores(model, seen_by(model, batch), f"normal bags ({tree.__name__} tree)")
    return "scores and losses of normal bags are finite"


@check(
    "shapes",
    "take dim and the number of classes from the arguments of __init__, not from constants",
)
def shapes(method: Candidate) -> str:
    """Flat and three-level trees of 2 to 30 classes and features of 1 to 20 dimensions work."""
    for classes, dim in CASES:
        for tree in TREES:
            taxonomy = tree(classes)
            model = method.make(taxonomy, dim)
            # First, last and second class.
            batch = make_batch(SIZES, (0, classes - 1, 1), taxonomy, dim)
            _require_scores(model, seen_by(model, batch), f"{classes} classes, D = {dim}")
    return "correct for 2 to 30 classes, trees of one and of three levels, D = 1 to 20"


@check("small bags", "use at most min(k, N) patches, and no statistics over all patches of a batch")
def small_bags(method: Candidate) -> str:
    """A bag of 1 to 12 patches works alone, in training and in evaluation."""
    taxonomy = three_levels()
    model = method.make(taxonomy)
    for size in range(1, LARGEST + 1):
        batch = seen_by(model, make_batch((size,), (size % 5,), taxonomy))
        for training in (True, False):
            _require_scores(model.train(training), batch, f"a bag of {size}")
    return f"bags of 1 to {LARGEST} patches have finite scores and losses"


@check("coordinates", "set needs_coords = True, or score bags with batch.coords = None")
def coordinates(method: Candidate) -> str:
    """Features without coordinates are scored, or refused with a clear message."""
    if method.kind.needs_coords:
        return "required, as declared"
    taxonomy = flat()
    model = method.make(taxonomy)
    try:  # coords are missing where features have none
        model.eval()(replace(make_batch((4, 9), (0, 1), taxonomy), coords=None))
    except MilBenchError as error:
        return f"required; without them: {error}"
    return "not required"


def _require_scores(model: Method, batch: BagBatch, case: str) -> None:
    """Raise unless output and losses fit the contract and are finite."""
    output = model(batch)
    for name, value in tensors(output).items():
        _require_finite(value, f"{name} for {case}")
    for progress in PROGRESS:
        for term, value in model.loss(output, batch, progress).items():
            _require_finite(value, f"loss term {term} for {case} at progress {progress}")


def _require_finite(value: Tensor, what: str) -> None:
    if not value.isfinite().all():
        raise NotFinite(f"{what}: not finite")
