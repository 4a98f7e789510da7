"""Comparison of a module with golden vectors, shared by the adapters of all methods.

An adapter maps official parameter names to ours, runs one bag and names its outputs as the sidecar
does. float64 must match the float64 run tightly; float32 must stay in the sidecar's tolerances.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from golden_io import Case, probe
from torch import Tensor, nn

TIGHT = 1e-9  # relative, float64 against float64
STORED32 = 1e-6  # relative, float64 against an array stored in float32
LOOSE_GRADIENT = 1e-3  # relative to the largest norm of a loss, float32
SPREAD = 0.15  # relative, standard deviation of initial weights; five sigma for 512 of them

Bag = dict[str, Any]
Rules = Sequence[tuple[str, str]]


def load(module: nn.Module, case: Case, rules: Rules, dtype: torch.dtype) -> dict[str, Tensor]:
    """Copy the case's weights into ``module``; official name -> our parameter.

    ``rules`` are ``(pattern, replacement)`` pairs for ``re.sub``, applied in order to every
    official name. Every parameter must be named once and have the official shape, and its initial
    values the official spread.
    """
    module.to(dtype).eval()
    ours = dict(module.named_parameters())
    official = {}
    initial = {p["name"]: p.get("official_init") for p in case.meta["params"]}
    for name, value in case.params().items():
        renamed = name
        for pattern, replacement in rules:
            renamed = re.sub(pattern, replacement, renamed)
        assert renamed in ours, f"{name} became {renamed}, which is none of {sorted(ours)}"
        official[name] = ours.pop(renamed)
        assert tuple(official[name].shape) == value.shape, (name, renamed)
        check_spread(name, official[name], initial[name])
        official[name].data.copy_(torch.from_numpy(value))
    assert not ours, f"parameters without an official counterpart: {sorted(ours)}"
    return official


def check_spread(name: str, start: Tensor, official: Mapping[str, float] | None) -> None:
    """The initial values of a large or constant parameter against the official constructor's."""
    if official and (start.numel() >= 512 or official["std"] == 0):
        spread = start.detach().std(correction=0).item()
        close(spread, official["std"], SPREAD, 0, f"start of {name}")


def check_bags(
    case: Case,
    dtype: torch.dtype,
    parameters: Mapping[str, Tensor],
    evaluate: Callable[[dict[str, Tensor], Bag], Mapping[str, Tensor]],
) -> None:
    """Check outputs, losses and gradients of every bag of the case.

    ``evaluate(inputs, bag)`` gets the bag's inputs as tensors (floating ones require gradients)
    and returns every array listed in the sidecar, losses as ``loss_<L>``.
    """
    for bag in case.bags():
        inputs = {name: _input(value, dtype) for name, value in bag["inputs"].items()}
        outputs = evaluate(inputs, bag)
        check_outputs(case, bag, outputs, dtype)
        for loss in bag["meta"]["losses"]:
            check_gradients(case, bag, loss, outputs[f"loss_{loss}"], parameters, inputs, dtype)


def check_outputs(case: Case, bag: Bag, got: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Every array of the bag against the golden one, up to a leading axis of length one."""
    missing = sorted(set(bag["out"]) - set(got))
    assert not missing, f"{_title(case, bag)}: the adapter gives no {missing}"
    for name, expected in bag["out"].items():
        where = f"{_title(case, bag)} {name} ({dtype})"
        value = got[name].detach().cpu().numpy()
        assert value.size == expected.size, f"{where}: {value.shape} and {expected.shape}"
        value = value.reshape(expected.shape)
        if expected.dtype.kind in "iub":
            np.testing.assert_array_equal(value, expected, err_msg=where)
        elif dtype == torch.float64 and name in bag["out64"]:
            expected = bag["out64"][name]
            close(value, expected, TIGHT, TIGHT * np.abs(expected).max(initial=0), where)
        else:
            tolerance = case.meta["tolerances"]["suggested_fp32"][name]
            close(value, expected, tolerance["rtol"], tolerance["atol"], where)


def check_gradients(
    case: Case,
    bag: Bag,
    name: str,
    loss: Tensor,
    parameters: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    dtype: torch.dtype,
) -> None:
    """Norms and projections of the gradients of one loss, and norms per input instance.

    A golden NaN means that the parameter is not in the graph: ours must then be absent or zero.
    """
    sources = {n: t for n, t in {**parameters, **_prefixed(inputs)}.items() if t.requires_grad}
    values = torch.autograd.grad(loss, list(sources.values()), retain_graph=True, allow_unused=True)
    gradients = {
        n: np.zeros(sources[n].shape) if g is None else g.double().cpu().numpy()
        for n, g in zip(sources, values, strict=True)
    }
    norms, probes = bag["gradnorm"][name], bag["gradprobe"][name]
    largest = float(np.nanmax(norms, initial=0))
    share = TIGHT if dtype == torch.float64 else LOOSE_GRADIENT
    for official, norm, projection in zip(case.meta["param_order"], norms, probes, strict=True):
        where = f"{_title(case, bag)} d {name} / d {official} ({dtype})"
        if np.isnan(norm):
            assert official not in gradients or not gradients[official].any(), where
            continue
        gradient = gradients[official].ravel()
        direction = probe(official, gradient.size).astype(np.float64)
        size = float(np.linalg.norm(direction))
        close(np.linalg.norm(gradient), norm, share, share * largest, where)
        close(gradient @ direction, projection, share, share * largest * size, f"probe {where}")
    share = STORED32 if dtype == torch.float64 else LOOSE_GRADIENT
    for key, expected in bag["xgradnorm"].items():
        source = "x" if key == name else key.removeprefix(f"{name}.")  # a loss name may hold dots
        if source in inputs:
            rows = gradients[f"input.{source}"].reshape(len(expected), -1)
            where = f"{_title(case, bag)} d {name} / d {source} ({dtype})"
            norms = np.linalg.norm(rows, axis=1)
            if dtype == torch.float32:
                norms = forgiven(norms, expected, share * expected.max())
            close(norms, expected, share, share * expected.max(), where)


def forgiven(norms: np.ndarray, expected: np.ndarray, atol: float) -> np.ndarray:
    """``norms`` with the expected value in the few rows where a ReLU rounds to its other side.

    Where an input of a ReLU is 1e-8, its sign in float32 is a matter of the order of a sum, and
    the gradient of that instance is another: at most one row in 100, and not by much.
    """
    apart = np.abs(norms - expected)
    few = (apart > atol) & (apart < 10 * atol)
    return np.where(few, expected, norms) if few.sum() * 100 <= len(norms) else norms


def close(got: Any, expected: Any, rtol: float, atol: float, where: str) -> None:
    """Assert that ``|got - expected| <= atol + rtol |expected|`` everywhere."""
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol + 1e-15, err_msg=where)


def _input(value: np.ndarray, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(value)
    return tensor.to(dtype).requires_grad_() if tensor.is_floating_point() else tensor


def _prefixed(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"input.{name}": tensor for name, tensor in inputs.items()}


def _title(case: Case, bag: Bag) -> str:
    return f"{case.meta['method']}/{case.meta['case']} bag {bag['meta']['id']}"
