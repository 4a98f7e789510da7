"""TransMIL packed and without padding against the plain model, one padded bag at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.plain import transmil as plain
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.transmil import TransMIL, TransMILConfig

DIM = 24
TREE = Taxonomy.flat("three", ["a", "b", "c"])


def model(dtype: torch.dtype, **widths: int) -> TransMIL:
    """Weights in which attention is far from uniform."""
    torch.manual_seed(0)
    ours = TransMIL(TransMILConfig(dropout=0.0, **widths), DIM, TREE)
    for layer in (ours.layer1, ours.layer2):
        layer.attention.qkv.weight.data.mul_(3)
    return ours.to(dtype)


def bags(sizes: list[int], dtype: torch.dtype) -> BagBatch:
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(n, DIM, generator=generator).to(dtype) for n in sizes]
    return BagBatch.pack(features, labels={LEAF: torch.arange(len(sizes)) % 3})


def packed(ours: TransMIL, batch: BagBatch) -> tuple[Tensor, list[Tensor]]:
    """Logits ``(B, C)`` and the gradients of the summed losses."""
    output = ours(batch)
    loss = ours.loss(output, batch, 0.0)["ce"] * len(batch)
    return output.logits[LEAF].detach(), list(torch.autograd.grad(loss, list(ours.parameters())))


def one_by_one(ours: TransMIL, batch: BagBatch) -> tuple[Tensor, list[Tensor]]:
    """The same of the plain model with the same parameters."""
    opponent = plain.build(DIM, TREE).to(ours.token.dtype)
    opponent.load_state_dict(ours.state_dict())
    opponent.eval()
    logits = []
    for bag in batch.bags():
        output = opponent(bag.features)
        logits.append(opponent.logits(output))
        opponent.loss(output, int(bag.labels[LEAF])).backward()
    gradients = dict(opponent.named_parameters())
    return torch.cat(logits).detach(), [gradients[name].grad for name, _ in ours.named_parameters()]


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def check(ours: TransMIL, batch: BagBatch) -> None:
    (logits, gradients), (expected, reference) = packed(ours, batch), one_by_one(ours, batch)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-10)
    for (name, _), got, wanted in zip(ours.named_parameters(), gradients, reference, strict=True):
        assert relative(got, wanted) < 1e-9, name


def test_logits_and_gradients_are_those_of_the_padded_model():
    check(model(torch.float64), bags([100, 300, 20, 20], torch.float64))


def test_logits_and_gradients_are_those_of_the_padded_model_at_any_size(monkeypatch):
    """Narrow: as many sizes around the number of landmarks, 16, and far above it."""
    for constant, value in {"WIDTH": 32, "HEADS": 2, "LANDMARKS": 16}.items():
        monkeypatch.setattr(plain, constant, value)
    sizes = [*range(1, 40), 100, 121, 255, 256, 257, 300, 2500]
    check(model(torch.float64, dim=32, heads=2, landmarks=16), bags(sizes, torch.float64))


def test_without_ppeg_the_square_is_left_as_it_is():
    batch, full = bags([5, 20, 100], torch.float64), model(torch.float64, dim=32, heads=2)
    for weights in full.ppeg.parameters():
        weights.data.zero_()
    bare = model(torch.float64, dim=32, heads=2, ppeg=False)
    bare.load_state_dict({k: v for k, v in full.state_dict().items() if "ppeg" not in k})
    torch.testing.assert_close(packed(bare, batch)[0], packed(full, batch)[0])


def test_float32_stays_near_float64():
    """The plain model is no reference here: oneDNN errs in the gradient of its convolution."""
    sizes = [1, 20, 100, 257, 700]
    exact = packed(model(torch.float64), bags(sizes, torch.float64))
    logits, gradients = packed(ours := model(torch.float32), bags(sizes, torch.float32))
    assert relative(logits, exact[0]) < 1e-5
    for (name, _), got, wanted in zip(ours.named_parameters(), gradients, exact[1], strict=True):
        assert relative(got, wanted) < 2e-5, name


@pytest.mark.parametrize("features", [torch.float32, torch.bfloat16])
def test_bf16_stays_near_float32(features):
    ours, batch = model(torch.float32), bags([1, 20, 100, 300], torch.float32)
    expected, reference = packed(ours, batch)
    with torch.autocast("cpu", torch.bfloat16):
        output = ours(batch.to("cpu", features))
        loss = ours.loss(output, batch, 0.0)["ce"] * len(batch)
    gradients = torch.autograd.grad(loss, list(ours.parameters()))
    assert relative(output.logits[LEAF].detach().float(), expected) < 0.05
    for (name, p), got, wanted in zip(ours.named_parameters(), gradients, reference, strict=True):
        assert got.dtype == p.dtype
        assert relative(got, wanted) < 0.15, name
