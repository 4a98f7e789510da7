"""TransMIL: a Nystrom transformer over the patches of a slide (Shao et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.config import heads_divide, later, tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.nn.headed import HEADS, HeadConfig, HeadedMethod
from mil_bench.nn.layers import Projection
from mil_bench.nn.nystrom import NystromAttention
from mil_bench.nn.nystrom_padded import NystromAttention009
from mil_bench.nn.order import Order, Ordered
from mil_bench.nn.sequences import depthwise, equal_runs, order_by_size, pack


class TransMILConfig(HeadConfig):
    """``dim`` is the width of the tokens, split over ``heads``; ``landmarks`` defaults to half.

    ``nystrom="0.0.9"`` reproduces the release pinned by the official requirements, which shifts
    every attention output against its token; later releases are the model that was meant.
    ``order="coords"`` folds the square of PPEG by the coordinates of patches, ``"file"`` by the
    rows of the feature file, as the official code does. Without ``ppeg`` nothing is done on the
    square.
    """

    dim: int = tunable(512, choices=(64, 128, 256, 512), ge=8)
    heads: int = Field(8, ge=1)
    landmarks: int | None = Field(None, ge=1)
    dropout: float = tunable(0.1, low=0.0, high=0.5, ge=0, lt=1)  # after each attention
    nystrom: Literal["0.0.14", "0.0.9"] = "0.0.14"
    order: Order = "file"
    ppeg: bool = later(True)

    _heads_divide_dim = heads_divide("dim")


class AttentionLayer(nn.Module):
    """``x + attention(norm(x))``; there is no feed-forward block."""

    def __init__(self, config: TransMILConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        landmarks = config.landmarks or config.dim // 2  # dim / 2, as officially
        form = NystromAttention if config.nystrom == "0.0.14" else NystromAttention009
        self.attention = form(config.dim, config.heads, landmarks, dropout=config.dropout)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Apply the layer to packed sequences ``(sum n, dim)``; keeps the shape."""
        rows: Tensor = x + self.attention(self.norm(x), sizes)
        return rows

    def class_tokens(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Return the first tokens' outputs ``(B, dim)`` and attention to all tokens.

        The attention of each is ``(heads, n)``.
        """
        rows, attention = self.attention.first_rows(self.norm(x), sizes)
        # Their residual only.
        tokens = torch.stack([sequence[0] for sequence in x.split_with_sizes(list(sizes))])
        return tokens + rows, attention


class Unchanged(nn.Module):
    """In the place of PPEG: sequences stay what they are."""

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return ``x``."""
        return x


class TransMIL(HeadedMethod):
    """Projection, class token, attention, PPEG, attention, classifier on the class token.

    The scale of the pseudo-inverse, a maximum over a batch in the official code, is one of each
    slide, so that slides are never coupled. ``Output.attention`` is the class token's row of
    ``F1 Z F3`` in the last layer, mean over heads: relevance that may be negative and does not
    sum to one.
    """

    Config = TransMILConfig
    config: TransMILConfig
    order_dependent: ClassVar[bool] = True
    attention_is_distribution: ClassVar[bool] = False
    safe_in_bf16: ClassVar[bool] = True
    paper = PaperCard(
        title="TransMIL: Transformer based Correlated Multiple Instance Learning for Whole Slide "
        "Image Classification",
        year=2021,
        venue="NeurIPS",
        link="https://arxiv.org/abs/2106.00908",
        code="szc19990412/TransMIL @ 9d6aee5 with nystrom-attention 0.0.14",
        differs=(
            "nystrom-attention 0.0.14 semantics by default; the official requirements pin 0.0.9, "
            "which returns the wrong rows (nystrom=0.0.9)",
            "the square is folded in the order of the file, as in the official code. This is not "
            "the order on the slide; order=coords folds it by the coordinates of patches",
            "any number of slides per step, each computed separately (officially the scale of the "
            "pseudo-inverse couples those of a batch)",
            "zero rows of the padding are counted and not computed, and the last layer computes "
            "only the class token: the same function for less",
            "any feature dimension; widths by `dim`",
        ),
        steps=(
            "project",
            "square of patches, class token",
            "Nystrom attention",
            "PPEG: filters on the square",
            "class token attends (Nystrom)",
            "classify class token",
        ),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "lookahead_radam",
        "lr": 2e-4,
        "weight_decay": 1e-5,
        "epochs": 200,
        "batch_size": 1,
        "accumulate": 2,
        "patience": 10,
    }
    ablations = Ablations(
        components={"ppeg": Component("filters on the square (PPEG)", {"ppeg": False})},
        variants={
            "nystrom_009": Switch("nystrom-attention 0.0.9", {"nystrom": "0.0.9"}),
            "coords": Switch("grid by coordinates", {"order": "coords"}),
            **HEADS,
        },
    )

    def __init__(self, config: TransMILConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.project = Projection(dim, config.dim)
        self.token = nn.Parameter(torch.randn(1, 1, config.dim))  # N(0, 1)
        self.layer1, self.layer2 = AttentionLayer(config), AttentionLayer(config)
        self.ppeg = PPEG(config.dim) if config.ppeg else Unchanged()
        self.norm = nn.LayerNorm(config.dim)
        self.classifier = nn.Linear(config.dim, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and relevance ``(sum N, 1)``.

        Bags are computed in the order of their sizes, so that equal ones are neighbours.
        """
        order, place = order_by_size(batch.sizes)
        ordered = Ordered.of(batch, self.config.order)
        bags = self.project(ordered.batch.features).split_with_sizes(list(batch.sizes))
        x, sizes = self.sequences([bags[b] for b in order])
        x = self.ppeg(self.layer1(x, sizes), sizes)
        tokens, attention = self.layer2.class_tokens(x, sizes)  # (B, dim)
        numbers = self.classifier(self.norm(tokens))  # (B, outputs)
        # Column 0 is the class token itself; rows behind the n patches are copies that fill the
        # square.
        relevance = [attention[place[b]].mean(0)[1 : n + 1] for b, n in enumerate(batch.sizes)]
        return Output(
            logits=self.decision(torch.stack([numbers[p] for p in place])),
            attention={LEAF: ordered.restored(torch.cat(relevance).detach().unsqueeze(1))},
        )

    def sequences(self, bags: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
        """Return packed sequences of ``1 + S^2`` rows made of bags ``(N, dim)``, and their sizes.

        A sequence is the class token, the patches, and the first patches again to fill the square.
        """
        token = self.token[0].to(bags[0].dtype)
        sides = [isqrt(len(bag) - 1) + 1 for bag in bags]  # ceil(sqrt(N))
        rows = []
        for bag, side in zip(bags, sides, strict=True):
            rows += [token, bag, bag[: side * side - len(bag)]]  # copies, not zeros
        return torch.cat(rows), [1 + side * side for side in sides]


class PPEG(nn.Module):
    """Pyramid position encoding of a square of tokens (Shao et al., 2021, algorithm 3).

    ``x + conv7(x) + conv5(x) + conv3(x)``, depthwise, on each sequence folded row by row.

    The three kernels and the identity are summed into one 7 x 7 kernel before the convolution: the
    same function at a third of the cost. The class token in front of a sequence is unchanged.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv7, self.conv5, self.conv3 = (
            nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim) for size in (7, 5, 3)
        )

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Encode positions in packed sequences of ``1 + S^2`` rows ``(sum n, dim)``."""
        weight, bias = self.kernel()
        runs = []
        for run in equal_runs(x, sizes):
            token, patches = run.split_with_sizes([1, run.shape[1] - 1], 1)  # the token bypasses
            side = isqrt(patches.shape[1])
            # (g, S, S, dim)
            grid = depthwise(patches.view(len(run), side, side, -1), weight) + bias
            runs.append(torch.cat([token, grid.flatten(1, 2)], 1))
        return pack(runs)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return the sum of the four kernels, ``(dim, 1, 7, 7)``, and of the biases, ``(dim,)``."""
        weight = (
            # A smaller filter is a 7 x 7 one with zeros around it; the identity is a 1 in the
            # middle.
            self.conv7.weight
            + F.pad(self.conv5.weight, [1] * 4)
            + F.pad(self.conv3.weight, [2] * 4)
            + F.pad(self.conv7.weight.new_ones(1, 1, 1, 1), [3] * 4)
        )
        convs = (self.conv7, self.conv5, self.conv3)
        return weight, torch.stack([conv.bias for conv in convs if conv.bias is not None]).sum(0)
