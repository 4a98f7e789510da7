"""Inside ``stock_layers`` every method is plain torch: the same function, derivable as you like."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from narrow_methods import OURS, make, narrow
from torch import Tensor, nn

from mil_bench.base.errors import UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.checks.method.samples import flat, make_batch
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import with_edges
from mil_bench.contract.method import Method
from mil_bench.methods import METHODS
from mil_bench.nn.headed import HEADS, HeadedMethod
from mil_bench.nn.layers import AttentionNet, Dropout, Projection
from mil_bench.nn.stock import stock_layers

TREE = Taxonomy.from_tree("two", {"a": ["a0", "a1"], "b": ["b0", "b1"]})
PROGRESS = 0.3
HEADED = [name for name in OURS if issubclass(METHODS.get(name), HeadedMethod)]
FORMS = [
    *(pytest.param(name, {}, id=name) for name in OURS),
    *(
        pytest.param(name, dict(switch.overrides), id=f"{name}-{form}")
        for name in OURS
        for form, switch in METHODS.get(name).ablations.switches.items()
    ),
    *(
        pytest.param(name, dict(switch.overrides), id=f"{name}-{form}")
        for name in HEADED
        for form, switch in HEADS.items()
        if form not in METHODS.get(name).ablations.switches
    ),
]
DERIVED = [*(form for form in FORMS if not form.values[1])] + [
    pytest.param("abmil", dict(switch.overrides), id=f"abmil-{form}")
    for form, switch in HEADS.items()
]


class LossOfBag(nn.Module):
    """The loss of one bag as a function of its features, for ``functional_call``."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, x: Tensor, edges: Tensor | None, leaf: Tensor) -> Tensor:
        """``(N, D)``, the edges of the bag's graph, leaf label -> scalar."""
        batch = replace(
            BagBatch.of_rows(x, [len(x)]),
            edges=edges,
            labels={"coarse": leaf[None] // 2, "leaf": leaf[None]},
        )
        return sum(self.method.loss(self.method(batch), batch, PROGRESS).values())


def bag(method: Method, size: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Features ``(N, 6)`` and the edges of their graph, which is made of coordinates."""
    generator = torch.Generator().manual_seed(seed)
    x, xy = (torch.randn(size, dim, generator=generator).double() for dim in (6, 2))
    return x, with_edges(BagBatch.pack([x], [xy]), method.neighbours).edges


def parameters(loss: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach() for k, v in loss.named_parameters() if v.requires_grad}


@pytest.mark.parametrize(("name", "overrides"), FORMS)
def test_logits_attention_and_gradients_are_those_of_the_fast_layers(name, overrides):
    method = make(name, TREE, **overrides).float()
    for module in method.modules():
        if isinstance(module, Projection | AttentionNet):
            module.dropout = 0.0
        elif isinstance(module, Dropout):
            module.p = 0.0
    batch = make_batch((1, 2, 70, 5, 200), (0, 3, 2, 1, 0), TREE).to("cpu", torch.float32)
    for mode in (False, True):
        method.train(mode)
        results = []
        for context in (torch.enable_grad, stock_layers):
            torch.manual_seed(3)
            method.zero_grad()
            with context():
                output = method(batch)
                sum(method.loss(output, batch, PROGRESS).values()).backward()
            trained = [p.grad for p in method.parameters() if p.grad is not None]
            results.append(([*output.logits.values(), *output.attention.values()], trained))
        for got, expected in zip(*(outputs for outputs, _ in results), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
        fast, stock = (torch.cat([g.flatten() for g in grads]) for _, grads in results)
        assert (fast - stock).norm() <= 1e-4 * fast.norm()


@pytest.mark.parametrize(("name", "overrides"), DERIVED)
def test_the_gradient_of_a_gradient_is_the_change_of_the_fast_gradient(name, overrides):
    loss = LossOfBag(make(name, TREE, **overrides).eval())
    x, edges = bag(loss.method, 12, 1)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).double()
    label, step = torch.tensor(1), 1e-6

    def gradient(x: Tensor, graph: bool = False) -> Tensor:
        x = x.requires_grad_()
        return torch.autograd.grad(loss(x, edges, label), x, create_graph=graph)[0]

    with stock_layers():
        first = gradient(x, graph=True)
        (second,) = torch.autograd.grad((first * direction).sum(), x)
    ahead, behind = (gradient(x.detach() + sign * step * direction) for sign in (1, -1))
    torch.testing.assert_close(second, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(first.detach(), gradient(x.detach()))


@pytest.mark.parametrize(("name", "overrides"), DERIVED)
def test_torch_func_gives_the_gradients_of_parameters(name, overrides):
    loss = LossOfBag(make(name, TREE, **overrides).eval())
    for size in (1, 9):
        inputs = (*bag(loss.method, size, size), torch.tensor(2))
        with stock_layers():
            gradients = torch.func.grad(
                lambda values, inputs=inputs: torch.func.functional_call(loss, values, inputs)
            )(parameters(loss))
        loss.zero_grad()
        loss(*inputs).backward()
        for key, value in loss.named_parameters():
            if key in gradients:
                expected = torch.zeros_like(value) if value.grad is None else value.grad
                torch.testing.assert_close(gradients[key], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("name", "overrides"), DERIVED)
def test_vmap_gives_the_gradients_of_every_sample(name, overrides):
    """Bags of one size; ``randomness="same"`` is for dtfd, which deals by a fixed permutation."""
    loss = LossOfBag(make(name, TREE, **overrides).eval())
    bags = [bag(loss.method, 9, seed) for seed in range(3)]
    features, labels = torch.stack([x for x, _ in bags]), torch.tensor([0, 3, 1])
    graph = bags[0][1] is not None
    edges = torch.stack([e for _, e in bags]) if graph else None

    def of_sample(values: dict[str, Tensor], *inputs: Tensor | None) -> Tensor:
        return torch.func.functional_call(loss, values, inputs)

    per_sample = torch.func.vmap(
        torch.func.grad(of_sample), (None, 0, 0 if graph else None, 0), randomness="same"
    )
    with stock_layers():
        gradients = per_sample(parameters(loss), features, edges, labels)
    for sample, ((x, own_edges), label) in enumerate(zip(bags, labels, strict=True)):
        loss.zero_grad()
        loss(x, own_edges, label).backward()
        for key, value in loss.named_parameters():
            if key in gradients:
                expected = torch.zeros_like(value) if value.grad is None else value.grad
                torch.testing.assert_close(gradients[key][sample], expected, rtol=1e-6, atol=1e-9)


def test_outside_torch_func_says_where_it_works():
    loss = LossOfBag(narrow("abmil").plain(flat(4)))
    x, _ = bag(loss.method, 9, 1)
    with pytest.raises(UsageError, match=r"mil_bench\.stock_layers\(\)"):
        torch.func.jacrev(lambda x: loss(x, None, torch.tensor(1)))(x)


def test_outside_a_second_derivative_says_where_to_find_it():
    loss = LossOfBag(narrow("abmil").plain(flat(4)))
    x, edges = bag(loss.method, 9, 1)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, edges, torch.tensor(1)), x, create_graph=True)
    with pytest.raises(UsageError, match=r"mil_bench\.stock_layers\(\)"):
        gradient.square().sum().backward()
