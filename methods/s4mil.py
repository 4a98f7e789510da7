"""S4MIL: a state space model over the patches of a slide (Fillioux et al., MICCAI 2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.methods.abmil import SLIDE_RECIPE
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import Projection
from mil_bench.nn.order import Order, Ordered
from mil_bench.nn.segment import segment_max, segment_sum
from mil_bench.nn.sequences import equal_runs, pack


class S4MILConfig(HeadConfig):
    """``width`` of the sequence, ``states`` of every channel (even), number of ``layers``.

    ``order="coords"`` sorts the patches by their coordinates, in rows of ``sqrt(N)``; ``"file"``
    keeps the order of the feature file, as the official code does.
    """

    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    states: int = tunable(32, choices=(16, 32, 64), ge=2)
    layers: int = tunable(1, low=0, high=3, ge=0)
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)  # after the projection
    order: Order = "file"

    @model_validator(mode="after")
    def _pairs(self) -> S4MILConfig:
        if self.states % 2:
            raise ValueError(f"states {self.states} must be even, they come in conjugate pairs")
        return self


class S4Layer(nn.Module):
    """``S4D(norm(x))``; there is no residual connection."""

    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.s4d = S4D(width, states)

    def forward(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Apply the layer to packed sequences ``(sum N, width)``; keeps the shape."""
        rows: Tensor = self.s4d(self.norm(x), sizes)
        return rows


class S4MIL(HeadedMethod):
    """Projection, state space layers over the sequence, maximum per channel, linear classifier.

    Time grows with ``N log N``. ``Output.attention`` is the share of channels whose maximum each
    patch is.
    """

    Config = S4MILConfig
    config: S4MILConfig
    order_dependent: ClassVar[bool] = True
    paper = PaperCard(
        title="Structured State Space Models for Multiple Instance Learning in Digital Pathology",
        year=2023,
        venue="MICCAI",
        link="https://arxiv.org/abs/2306.15789",
        code="MICS-Lab/s4_digital_pathology @ 3d5be56 (read for facts; no golden vectors)",
        differs=(
            "plain torch without einops; the kernel is computed block by block instead of from a "
            "tensor of width x states x N",
            "cross entropy of the logits; the official training code takes it of the softmax, as "
            "if that were logits",
            "dropout after the projection as in MambaMIL's copy (isyangshu/MambaMIL @ 7e0133f); "
            "the official code has none",
            "weight decay of all parameters, as in the official training; the original S4D "
            "excludes its step, decay and frequency",
            "order=coords runs through the slide by coordinates instead of rows of the file",
            "any width; several slides per step, each computed separately",
            "learning rate, weight decay and epochs are official, early stopping is this package's "
            "for whole slides (patience 20 after epoch 50; official 10 at any time); no Lookahead "
            "around Adam, an option of the repository",
        ),
        steps=("project", "state space layer over sequence", "maximum per channel", "classify"),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = SLIDE_RECIPE
    ablations = Ablations(
        components={"sequence": Component("state space layers", {"layers": 0})},
        variants={
            "coords": Switch("sequence by coordinates", {"order": "coords"}),
            "two": Switch("two layers", {"layers": 2}),
        },
        twins=("max",),
    )

    def __init__(self, config: S4MILConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.project = Projection(dim, config.width, config.dropout)
        self.layers = nn.ModuleList(
            S4Layer(config.width, config.states) for _ in range(config.layers)
        )
        self.classifier = nn.Linear(config.width, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and shares of channels ``(sum N, 1)``."""
        ordered = Ordered.of(batch, self.config.order)
        h = self.project(ordered.batch.features)
        for layer in self.layers:
            h = layer(h, list(batch.sizes))
        z = segment_max(h, batch.offsets)  # (B, width)
        return Output(
            logits=self.decision(self.classifier(z)),
            attention={LEAF: ordered.restored(self.shares(h.detach(), z.detach(), batch))},
        )

    def shares(self, h: Tensor, z: Tensor, batch: BagBatch) -> Tensor:
        """Return shares ``(sum N, 1)`` of channels whose maximum a patch is; equal ones share."""
        best = (h == z[batch.segment]).to(torch.float32)  # 1 where a patch has the maximum
        together = segment_sum(best, batch.offsets)
        return (best / together[batch.segment]).mean(1, keepdim=True)


_STEP = (1e-3, 1e-1)  # of the discretisation, log-uniform over channels


class S4D(nn.Module):
    """A diagonal state space as a long convolution (Gu et al., S4D, NeurIPS 2022).

    ``y = K * u + D u`` per channel, causal, then GELU and a gated linear layer.

    ``K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n)`` with ``states / 2`` complex
    states of which the conjugates are not kept; ``A_n = -1/2 + i pi n`` at the start (S4D-Lin).
    """

    def __init__(self, dim: int, states: int) -> None:
        super().__init__()
        pairs = states // 2
        low, high = math.log(_STEP[0]), math.log(_STEP[1])
        self.log_step = nn.Parameter(torch.rand(dim) * (high - low) + low)  # log dt, uniform
        # Re A = -exp(log_decay) stays negative while it is trained, so the state decays.
        self.log_decay = nn.Parameter(torch.full((dim, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(pairs).float().repeat(dim, 1))
        # Real and imaginary part of a complex normal number of variance one.
        self.readout = nn.Parameter(torch.randn(dim, pairs, 2) / math.sqrt(2))
        self.skip = nn.Parameter(torch.randn(dim))
        self.out = nn.Linear(dim, 2 * dim)  # value and gate of the GLU

    def forward(self, u: Tensor, sizes: Sequence[int]) -> Tensor:
        """Convolve packed sequences ``(sum n, dim)``, each separately; keeps the shape."""
        # Fourier transforms of 16-bit numbers are inexact or missing.
        with as_written(u):
            u = full_precision(u)
            kernel = self.kernel(max(sizes))  # of the longest; others read its beginning
            runs = [convolved(run, kernel) for run in equal_runs(u, sizes)]
            y = F.gelu(pack(runs) + self.skip * u)
        rows: Tensor = F.glu(self.out(y), -1)
        return rows

    def kernel(self, length: int) -> Tensor:
        """Return the impulse response ``(length, dim)``.

        Powers of ``exp(dt A)`` are products of one within a block and one of whole blocks, so that
        no tensor of ``dim x states x length`` is made.
        """
        step = self.log_step.exp().unsqueeze(1)  # dt, (dim, 1)
        a = torch.complex(-self.log_decay.exp(), self.frequency)  # (dim, pairs)
        pole = a * step  # dt A
        # C (exp(dt A) - 1) / A: zero-order hold.
        weight = torch.view_as_complex(self.readout) * (pole.exp() - 1) / a
        block = math.isqrt(length - 1) + 1  # ceil(sqrt(length))
        places = torch.arange(block, device=pole.device)
        within = (pole.unsqueeze(2) * places).exp()  # (dim, pairs, block)
        # (dim, block, pairs)
        starts = (weight.unsqueeze(2) * (pole.unsqueeze(2) * (places * block)).exp()).mT
        # Place i * block + j is exp(i block dt A) exp(j dt A); twice the real part adds the
        # conjugates.
        response: Tensor = 2 * (starts @ within).real  # (dim, block, block)
        return response.flatten(1)[:, :length].T


def convolved(u: Tensor, kernel: Tensor) -> Tensor:
    """Convolve ``(count, n, dim)`` causally with ``(>= n, dim)`` along the sequence."""
    n = u.shape[1]
    # Twice the length: a transform of length n would wrap the end around to the beginning.
    spectrum = torch.fft.rfft(u, 2 * n, dim=1) * torch.fft.rfft(kernel[:n], 2 * n, dim=0)
    response: Tensor = torch.fft.irfft(spectrum, 2 * n, dim=1)
    return response[:, :n]
