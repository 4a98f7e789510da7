"""TransMIL as its papers write it, one bag per step: the opponent of ``methods/transmil.py``.

Parameters carry the names of our method, so ``model.load_state_dict(ours.state_dict())`` gives the
same function. Sources: Shao et al. (NeurIPS 2021), Xiong et al. (AAAI 2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from benchmarks.plain.model import PlainModel
from mil_bench.base.taxonomy import Taxonomy

WIDTH, HEADS, LANDMARKS, PINV_ITERATIONS, KERNEL, DROPOUT = 512, 8, 256, 6, 33, 0.1
LR, WEIGHT_DECAY = 2e-4, 1e-5


def build(dim: int, taxonomy: Taxonomy) -> PlainModel:
    """Return the official widths."""
    return PlainTransMIL(dim, len(taxonomy.leaves))


def optimizer(model: nn.Module) -> Optimizer:
    """Return lookahead(RAdam) of the recipe; weights of one dimension and biases do not decay."""
    named = list(model.named_parameters())
    spared = [p for name, p in named if p.ndim == 1 or name.endswith(".bias")]
    decayed = [p for name, p in named if not (p.ndim == 1 or name.endswith(".bias"))]
    return PlainLookaheadRAdam(
        [
            {"params": decayed, "weight_decay": WEIGHT_DECAY},
            {"params": spared, "weight_decay": 0.0},
        ],
        lr=LR,
    )


class PlainTransMIL(PlainModel):
    """Projection, class token, attention, PPEG, attention, classifier on the class token."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(dim, WIDTH), nn.ReLU())
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.layer1, self.layer2 = PlainLayer(), PlainLayer()
        self.ppeg = PlainPPEG()
        self.norm = nn.LayerNorm(WIDTH)
        self.classifier = nn.Linear(WIDTH, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return one bag ``(N, D)`` -> logits ``(1, C)``."""
        h = self.project(x)[None]
        n = h.shape[1]
        side = math.ceil(math.sqrt(n))
        h = torch.cat([self.token, h, h[:, : side * side - n]], 1)
        h = self.layer2(self.ppeg(self.layer1(h), side))
        logits: Tensor = self.classifier(self.norm(h)[:, 0])
        return logits


class PlainLayer(nn.Module):
    """``x + attention(norm(x))``."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = PlainNystromAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(1, n, dim)`` -> the same shape."""
        rows: Tensor = x + self.attention(self.norm(x))
        return rows


class PlainNystromAttention(nn.Module):
    """Nystrom attention on a sequence filled up in front to a multiple of the landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.residual = nn.Conv2d(
            HEADS, HEADS, (KERNEL, 1), padding=(KERNEL // 2, 0), groups=HEADS, bias=False
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(1, n, dim)`` -> the same shape."""
        _, n, dim = x.shape
        x = F.pad(x, (0, 0, -n % LANDMARKS, 0))
        padded = x.shape[1]
        q, k, v = (
            part.view(1, padded, HEADS, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)
        )
        q = q * q.shape[-1] ** -0.5
        q_marks, k_marks = (
            part.reshape(1, HEADS, LANDMARKS, padded // LANDMARKS, -1).mean(3) for part in (q, k)
        )
        attn1 = (q @ k_marks.transpose(-1, -2)).softmax(-1)
        attn2 = (q_marks @ k_marks.transpose(-1, -2)).softmax(-1)
        attn3 = (q_marks @ k.transpose(-1, -2)).softmax(-1)
        mixed = (attn1 @ iterated_inverse(attn2)) @ (attn3 @ v)
        mixed = mixed + self.residual(v)
        mixed = mixed.transpose(1, 2).reshape(1, padded, dim)
        rows: Tensor = self.dropout(self.out(mixed))[:, -n:]
        return rows


def iterated_inverse(a: Tensor) -> Tensor:
    """Return iterated pseudo-inverse of ``(1, heads, m, m)`` (Razavi et al., 2014)."""
    row_sums, column_sums = a.abs().sum(-1), a.abs().sum(-2)
    z = a.transpose(-1, -2) / (row_sums.max() * column_sums.max())
    one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    for _ in range(PINV_ITERATIONS):
        az = a @ z
        z = 0.25 * z @ (13 * one - az @ (15 * one - az @ (7 * one - az)))
    return z


class PlainPPEG(nn.Module):
    """Three depthwise convolutions and the identity on the square of patches."""

    def __init__(self) -> None:
        super().__init__()
        self.conv7 = nn.Conv2d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)
        self.conv5 = nn.Conv2d(WIDTH, WIDTH, 5, padding=2, groups=WIDTH)
        self.conv3 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)

    def forward(self, x: Tensor, side: int) -> Tensor:
        """Return ``(1, 1 + side^2, dim)`` -> the same shape."""
        token, patches = x[:, :1], x[:, 1:]
        grid = patches.transpose(1, 2).reshape(1, -1, side, side)
        grid = self.conv7(grid) + grid + self.conv5(grid) + self.conv3(grid)
        return torch.cat([token, grid.flatten(2).transpose(1, 2)], 1)


class PlainLookaheadRAdam(Optimizer):
    """RAdam inside Lookahead, one parameter after another (Liu 2020; Zhang 2019).

    Decoupled weight decay; momentum alone while the averaged variance is shorter than 5 steps;
    the slow weights are made at the first synchronisation.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        alpha: float = 0.5,
        k: int = 6,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "alpha": alpha, "k": k}
        super().__init__(params, {**defaults, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one RAdam step and, every ``k`` steps, one synchronisation."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, group)

    def _update(self, p: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self.state[p], group["betas"]
        if not state:
            state["step"] = 0
            state["mean"], state["variance"] = torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        step, mean, variance = state["step"], state["mean"], state["variance"]
        variance.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        mean.mul_(beta1).add_(p.grad, alpha=1 - beta1)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / (1 - beta2**step)
        p.add_(p, alpha=-group["weight_decay"] * group["lr"])
        rate = group["lr"] / (1 - beta1**step)
        if length >= 5:
            shrink = (length - 4) / (longest - 4) * (length - 2) / length * longest / (longest - 2)
            rate *= math.sqrt((1 - beta2**step) * shrink)
            p.addcdiv_(mean, variance.sqrt().add_(group["eps"]), value=-rate)
        else:
            p.add_(mean, alpha=-rate)
        if step % group["k"] == 0:
            if "slow" not in state:
                state["slow"] = p.clone()
            state["slow"].add_(p - state["slow"], alpha=group["alpha"])
            p.copy_(state["slow"])
