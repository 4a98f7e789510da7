"""Every kernel against the formula that it computes, in plain torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import SIZES, in_roomy_memory, numbers, packed
from torch import Tensor, nn

import mil_bench.methods
import mil_bench.nn
from mil_bench.base.errors import UsageError
from mil_bench.nn.layers import AttentionNet, Dropout, Projection
from mil_bench.nn.nystrom import NystromAttention
from mil_bench.nn.nystrom_padded import NystromAttention009, PaddedNystromAttention
from mil_bench.nn.stock import FORMULAS, stock_layers


def _modules(package: Any) -> Iterator[Any]:
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        yield importlib.import_module(info.name)


MODULES = [*_modules(mil_bench.nn), *_modules(mil_bench.methods)]


def _softmax(sizes: list[int]) -> tuple[Any, ...]:
    batch = packed(sizes, 3)
    return batch.features.round(decimals=1).requires_grad_(), batch.segment, batch.offsets


def _reduction(sizes: list[int]) -> tuple[Any, ...]:
    batch = packed(sizes, 3)
    return batch.features.requires_grad_(), batch.offsets


def _matmul(sizes: list[int]) -> tuple[Any, ...]:
    batch = packed(sizes, 4)
    weights = numbers(sum(sizes), 2)
    return weights, in_roomy_memory(batch.features).requires_grad_(), batch.segment, batch.sizes


def _projected(sizes: list[int]) -> tuple[Any, ...]:
    x = in_roomy_memory(numbers(sum(sizes), 5))
    return x, numbers(4, 5), numbers(4), 0.0, torch.float64


def _scores(sizes: list[int], gates: int = 2) -> tuple[Any, ...]:
    x = in_roomy_memory(numbers(sum(sizes), 5))
    matrices = numbers(3 * gates, 5), numbers(3 * gates), numbers(2, 3), numbers(2)
    return x, *matrices, 1.0, torch.float64


def _iteration(sizes: list[int], iterations: int = 6) -> tuple[Any, ...]:
    r = len(sizes) + 1
    a = numbers(2, r, r).softmax(-1)
    k = a.detach() * a.detach().sum(1).amax(1)[:, None, None].rsqrt()
    return k.requires_grad_(), numbers(2, r, 3), iterations


def _depthwise(sizes: list[int]) -> tuple[Any, ...]:
    return numbers(2, max(sizes), 3, 4), numbers(4, 1, 5, 3)


def _attention(sizes: list[int]) -> tuple[Any, ...]:
    return tuple(numbers(2, sizes[0], 3, seed=seed) for seed in range(3))


def _parts(sizes: list[int]) -> tuple[Any, ...]:
    return torch.sin, numbers(sum(sizes), 3), max(sizes)


EXAMPLES: dict[str, list[Callable[[list[int]], tuple[Any, ...]]]] = {
    "segment_softmax": [_softmax],
    "segment_sum": [_reduction],
    "segment_max": [_reduction],
    "segment_matmul": [_matmul],
    "projected": [_projected],
    "attention_scores": [_scores, lambda sizes: _scores(sizes, gates=1)],
    "dropout": [lambda sizes: (numbers(sum(sizes), 3), 0.0)],
    "inverse_times": [_iteration, lambda sizes: _iteration(sizes, 1)],
    "projection_times": [_iteration, lambda sizes: _iteration(sizes, 1)],
    "depthwise": [_depthwise],
    "dot_product_attention": [_attention],
    "by_parts": [_parts],
}
CASES = [pytest.param(n, e, id=f"{n}-{i}") for n, es in EXAMPLES.items() for i, e in enumerate(es)]
GUARDED = [case for case in CASES if case.values[0] not in ("segment_sum", "segment_max",
           "dropout", "dot_product_attention", "by_parts")]  # fmt: skip


def _leaves(args: tuple[Any, ...]) -> list[Tensor]:
    return [a for a in args if isinstance(a, Tensor) and a.requires_grad]


def _value_and_gradients(function: Any, args: tuple[Any, ...]) -> list[Tensor]:
    value = function(*args)
    direction = numbers(*value.shape, seed=9).detach().to(value.dtype)
    return [value, *torch.autograd.grad((value * direction).sum(), _leaves(args))]


def test_every_kernel_has_an_example_here():
    assert set(EXAMPLES) == set(FORMULAS), "write an example of the new kernel's arguments"


def test_every_hand_written_backward_pass_is_a_kernel_that_the_examples_run():
    written = {
        thing.__name__: thing
        for module in MODULES
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, torch.autograd.Function)
        if thing.__module__.startswith("mil_bench") and thing.__name__ != "_Refusal"
    }
    assert written
    for function in written.values():
        assert function.__module__.startswith("mil_bench.nn.kernels."), function
        assert "setup_context" in vars(function), function
    run = set()
    for name, examples in EXAMPLES.items():
        value = FORMULAS[name].kernel(*examples[0]([3, 1]))  # its graph lives as long as it
        nodes = [value.grad_fn]
        while nodes:
            node = nodes.pop()
            run.add(type(node).__name__.removesuffix("Backward"))
            nodes += [parent for parent, _ in node.next_functions if parent is not None]
    assert set(written) <= run


@pytest.mark.parametrize(("name", "example"), CASES)
@settings(max_examples=12, deadline=None)
@given(sizes=SIZES)
def test_kernels_have_the_values_and_gradients_of_their_formulas(name, example, sizes):
    args = example(sizes)
    kernel = _value_and_gradients(FORMULAS[name].kernel, args)
    formula = _value_and_gradients(FORMULAS[name].formula, args)
    for got, expected in zip(kernel, formula, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("name", "example"), CASES)
@pytest.mark.parametrize("sizes", [[1], [1, 1], [900, 64, 1]])
def test_in_float32_they_agree_within_1e_5(name, example, sizes):
    # The iteration amplifies rounding errors, so badly conditioned matrices get ten times as much.
    limit = 1e-4 if name in ("inverse_times", "projection_times") else 1e-5
    args = tuple(
        a.detach().float().requires_grad_(a.requires_grad)
        if isinstance(a, Tensor) and a.is_floating_point()
        else (torch.float32 if a is torch.float64 else a)
        for a in example(sizes)
    )
    kernel = _value_and_gradients(FORMULAS[name].kernel, args)
    formula = _value_and_gradients(FORMULAS[name].formula, args)
    for got, expected in zip(kernel, formula, strict=True):
        assert (got - expected).norm() <= limit * expected.norm() + 1e-6


@pytest.mark.parametrize(("name", "example"), CASES)
def test_formulas_have_second_derivatives(name, example):
    args = example([2, 1, 3])
    places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    tensors = tuple(args[i] + (0.001 * torch.rand_like(args[i])) for i in places)  # no ties

    def run(*changed: Tensor) -> Tensor:
        every = [changed[places.index(i)] if i in places else a for i, a in enumerate(args)]
        with stock_layers():
            return FORMULAS[name](*every)

    tensors = tuple(t.detach().requires_grad_() for t in tensors)
    assert torch.autograd.gradcheck(run, tensors)
    assert torch.autograd.gradgradcheck(run, tensors)


@pytest.mark.parametrize(("name", "example"), GUARDED)
def test_kernels_refuse_a_second_derivative_instead_of_a_wrong_one(name, example):
    args = example([2, 1, 3])
    leaves = _leaves(args)
    gradients = []
    for context in (torch.enable_grad, stock_layers):
        with context():
            value = FORMULAS[name](*args)
        # Linear: the incoming gradient is constant, which torch's once_differentiable lets pass.
        total = (value * numbers(*value.shape, seed=9).detach()).sum()
        gradients.append(torch.autograd.grad(total, leaves, create_graph=True))
    kernel, formula = gradients
    refused = 0
    for fast, stock in zip(kernel, formula, strict=True):
        for leaf in leaves:
            second = None
            if stock.requires_grad:
                (second,) = torch.autograd.grad(
                    stock.square().sum(), leaf, retain_graph=True, allow_unused=True
                )
            if second is None or not second.any():
                continue  # nothing to refuse
            refused += 1
            with pytest.raises(UsageError, match="stock_layers"):
                torch.autograd.grad(fast.square().sum(), leaf, retain_graph=True)
    assert refused


def test_equal_maxima_share_a_positive_gradient_in_both_forms():
    """torch.segment_reduce does not divide a negative one; the formula does."""
    x = torch.tensor([[1.0], [1.0], [0.0], [2.0]], requires_grad=True)
    for form in (FORMULAS["segment_max"].kernel, FORMULAS["segment_max"].formula):
        (gradient,) = torch.autograd.grad(form(x, torch.tensor([0, 3, 4])).sum(), x)
        assert gradient.flatten().tolist() == [0.5, 0.5, 0.0, 1.0]


LAYERS: dict[type[nn.Module], tuple[Callable[[], nn.Module], bool]] = {
    Projection: (lambda: Projection(8, 4), False),
    AttentionNet: (lambda: AttentionNet(8, 3, 2), False),
    Dropout: (lambda: Dropout(0.0), False),
    NystromAttention: (lambda: NystromAttention(8, 2, 4, kernel=3), True),
    PaddedNystromAttention: (lambda: PaddedNystromAttention(8, 2, 4, kernel=3), True),
    NystromAttention009: (lambda: NystromAttention009(8, 2, 4, kernel=3), True),
}


def test_every_shared_layer_is_compared_here():
    shared = {
        thing
        for module in _modules(mil_bench.nn)
        if module.__name__ != "mil_bench.nn.heads"  # plain torch, without parameters
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, nn.Module)
        if thing.__module__ == module.__name__ and "Method" not in thing.__name__
    }
    assert shared == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("sizes", [[1], [5, 1, 12]])
def test_layers_are_the_same_function_inside_stock_layers(kind, sizes):
    torch.manual_seed(0)
    make, by_sequence = LAYERS[kind]
    layer, x = make(), torch.randn(sum(sizes), 8, requires_grad=True)
    arguments = (x, sizes) if by_sequence else (x,)
    results = []
    for context in (torch.enable_grad, stock_layers):
        with context():
            y = layer(*arguments)
            results.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    for got, expected in zip(*results, strict=True):
        assert (got - expected).norm() <= 1e-5 * expected.norm() + 1e-6


def test_the_switch_ends_with_its_block_and_after_an_error():
    x = torch.ones(3, 2, requires_grad=True)
    offsets = torch.tensor([0, 3])
    fast = FORMULAS["segment_sum"](x, offsets).grad_fn.name()
    with pytest.raises(KeyError), stock_layers(), stock_layers():
        raise KeyError
    assert FORMULAS["segment_sum"](x, offsets).grad_fn.name() == fast


@given(st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_float32_gradients_of_the_depthwise_formula_are_right_at_every_length(rows):
    """In the channels-first layout oneDNN errs by some per cent at lengths 15 i + 1."""
    torch.manual_seed(rows)
    x, direction = (torch.randn(1, rows, 1, 12, dtype=torch.float64) for _ in range(2))
    taps = torch.randn(12, 1, 33, 1, dtype=torch.float64, requires_grad=True)
    formula = FORMULAS["depthwise"].formula
    (exact,) = torch.autograd.grad((formula(x, taps) * direction).sum(), taps)
    single = taps.detach().float().requires_grad_()
    loss = (formula(x.float(), single) * direction.float()).sum()
    (gradient,) = torch.autograd.grad(loss, single)
    torch.testing.assert_close(gradient.double(), exact, rtol=1e-4, atol=1e-3)
