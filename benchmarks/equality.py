"""Correctness beside speed: equal weights give the loss and gradients of the plain form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.contestants import Entry
from benchmarks.contestants.ours import make_method
from benchmarks.plain import plain
from benchmarks.plain.model import without_dropout
from benchmarks.workloads import TREE
from mil_bench.bags.loader import level_labels
from mil_bench.contract.batch import BagBatch
from mil_bench.nn.precision import autocast, feature_type

TOLERANCE = 1e-5  # relative, in float32


@dataclass(frozen=True)
class Difference:
    """Relative difference of the loss, and relative L2 difference of the whole gradient."""

    loss: float
    gradient: float

    @property
    def equal(self) -> bool:
        """Whether both are within float32's tolerance."""
        return max(self.loss, self.gradient) <= TOLERANCE


def difference(entry: Entry, size: int) -> Difference:
    """Return ours against the plain form in float64 on a random bag of ``size`` patches, no
    dropout.

    In float32 the plain form of TransMIL is not a reference: oneDNN's weight gradient of its long
    convolution is wrong by up to some per cent at lengths 15 i + 1 (torch 2.15 on CPU), 256 is one.
    """
    entry = replace(entry, dropout=False)
    torch.manual_seed(entry.seed)
    dim, label = entry.workload.dim, 1
    x = torch.randn(size, dim)
    ours = make_method(entry, dim)
    form = plain(entry.method)
    theirs = form.build(dim, TREE).double()
    theirs.load_state_dict(ours.state_dict())
    without_dropout(theirs)

    labels = level_labels(TREE, torch.tensor([label]).numpy())
    batch = BagBatch.pack(
        [x.to(feature_type(entry.precision))],
        labels={level: torch.from_numpy(y) for level, y in labels.items()},
    )
    with autocast(entry.precision, x.device):
        terms = ours.loss(ours(batch), batch, progress=0.0)
    loss = torch.stack([term.float() for term in terms.values()]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    expected = theirs.loss(theirs(x.double()), label)
    expected.backward()  # type: ignore[no-untyped-call]
    return Difference(relative(loss, expected), relative(gradient(ours), gradient(theirs)))


def gradient(model: nn.Module) -> Tensor:
    """Return ``(P,)``: the gradients of all parameters, in order of their names."""
    named = sorted(model.named_parameters())
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for _, p in named]
    return torch.cat([part.flatten() for part in parts])


def relative(found: Tensor, expected: Tensor) -> float:
    """Return l2 norm of the difference over that of ``expected``."""
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm())
