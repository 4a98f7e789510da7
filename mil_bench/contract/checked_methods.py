"""Checks of a method, before and during training; every error names file and line."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from mil_bench.base.error_location import defined_at
from mil_bench.base.errors import FeatureError, RunError, UsageError, counted
from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method, MethodConfig, Output, PaperCard

CALLED = {
    "__init__": ("config", "dim", "taxonomy"),
    "forward": ("batch",),
    "loss": ("output", "batch", "progress"),
    "before_epoch": ("progress",),
    "after_step": ("progress",),
}
"""Functions that the harness calls, and their arguments by position."""


def check_class(name: str, method: Any) -> None:
    """Raise ``UsageError`` unless ``method`` can be built and trained at all."""
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UsageError(
            f"method {name!r} ({defined_at(method)}) is not derived from mil_bench.Method, so it "
            "lacks loss and whatever else training requires. Derive it."
        )
    faults = sorted(getattr(method, "__abstractmethods__", ()))  # functions without a body
    if not isinstance(getattr(method, "paper", None), PaperCard):
        faults.append("paper (a PaperCard)")
    config: type = method.Config
    if not issubclass(config, MethodConfig):
        faults.append("Config (derived from MethodConfig)")
    else:
        fields = config.model_fields.items()
        # `--set` is optional.
        faults += [f"a default of its option {key}" for key, f in fields if f.is_required()]
    version: object = method.version
    if not isinstance(version, str):
        faults.append("a version that is a text, such as '1'")
    if faults:
        raise UsageError(
            f"method {name!r} ({defined_at(method)}) lacks {', '.join(faults)}; add it "
            "(docs/add-a-method.md)."
        )
    for function, words in CALLED.items():
        _check_signature(name, getattr(method, function), words)


def _check_signature(name: str, function: Any, words: tuple[str, ...]) -> None:
    try:
        signature(function).bind("self", *words)  # by position, as the harness calls
    except TypeError:
        raise UsageError(
            f"method {name!r}: {function.__name__} ({defined_at(function)}) cannot be called with "
            f"({', '.join(words)}); add these arguments."
        ) from None


def check_trainable(name: str, method: Method) -> None:
    """Raise ``RunError`` where a model has nothing that training could change."""
    if not any(parameter.requires_grad for parameter in method.parameters()):
        raise RunError(
            f"method {name!r} ({defined_at(type(method))}) has no parameter to train; create its "
            "layers in __init__, as attributes."
        )


def check_coords(name: str, method: Method, dataset: str, coords: object) -> None:
    """Raise ``FeatureError`` where a method requires coordinates that the data do not have."""
    if method.needs_coords and coords is None:
        raise FeatureError(
            f"method {name!r} ({defined_at(type(method))}) requires coordinates, but the features "
            f"of {dataset} lack them; extract features with coordinates, or use another method."
        )


def checked_output(method: Method, output: Output, batch: BagBatch) -> Output:
    """Return ``output``. Raises ``RunError`` unless its shapes match the tree and the bags."""
    if not isinstance(output, Output):
        raise _error(method, "forward", f"returns {type(output).__name__}; return an Output")
    by_level: object = output.logits
    if not isinstance(by_level, Mapping):
        kind = type(by_level).__name__
        what = f"has a {kind} as logits; return a dictionary, {{'leaf': logits}}"
        raise _error(method, "forward", what)
    classes = method.taxonomy.classes
    if LEAF not in output.logits:
        raise _error(method, "forward", f"has logits of {[*output.logits]}; add those of {LEAF!r}")
    for level, logits in output.logits.items():
        if level not in classes:
            raise _error(method, "forward", f"has logits of {level!r}; levels are {[*classes]}")
        shape = (len(batch), len(classes[level]))
        if logits.shape != shape:
            raise _error(
                method,
                "forward",
                f"gives {level} logits of shape {tuple(logits.shape)} for "
                f"{counted(len(batch), 'bag')} and "
                f"{shape[1]} classes; return {shape}",
            )
    for level, weights in output.attention.items():  # K is free: branches need not be classes
        if weights.ndim != 2 or len(weights) != len(batch.features):
            raise _error(
                method,
                "forward",
                f"gives {level} attention of shape {tuple(weights.shape)} for "
                f"{counted(len(batch.features), 'patch', 'patches')}; return "
                f"({len(batch.features)}, K)",
            )
    return output


def checked_terms(method: Method, terms: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return ``terms``. Raises ``RunError`` unless they are named numbers that can be added."""
    if not isinstance(terms, Mapping) or not terms:
        kind = "no term" if isinstance(terms, Mapping) else type(terms).__name__
        raise _error(method, "loss", f"returns {kind}; return a dictionary of named terms")
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.shape:
            shape = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
            raise _error(method, "loss", f"gives {name!r} as {shape}; return a tensor of shape ()")
    # Not in evaluation.
    if torch.is_grad_enabled() and not any(term.requires_grad for term in terms.values()):
        what = f"gives terms that depend on no parameter: {', '.join(terms)}"
        raise _error(method, "loss", f"{what}; compute one of them from the output")
    return terms


def held(method: Method) -> Method:
    """Return ``method``, made to raise wherever it breaks the contract."""

    def check_output(_: object, inputs: tuple[BagBatch], output: Output) -> None:
        checked_output(method, output, inputs[0])

    def loss(output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        return dict(checked_terms(method, own_loss(output, batch, progress)))

    own_loss = method.loss
    method.register_forward_hook(check_output)
    # The forward hook sees every output; the loss is wrapped, because hooks see forward only.
    method.loss = loss  # type: ignore[method-assign]
    return method


def _error(method: Method, function: str, what: str) -> RunError:
    kind = type(method)
    # A function that the class inherits is not in its file.
    where = getattr(kind, function) if function in vars(kind) else kind
    return RunError(f"{function} ({defined_at(where)}) {what}.")
