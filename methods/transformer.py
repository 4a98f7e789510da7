"""A plain transformer encoder over the patches of a slide (Wagner et al., Cancer Cell 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mil_bench.base.config import heads_divide, tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Output, PaperCard, Switch
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import Dropout, Projection
from mil_bench.nn.segment import segment_map, segment_matmul, segment_softmax
from mil_bench.nn.sequences import (
    by_parts,
    dot_product_attention,
    equal_runs,
    order_by_size,
    pack,
)


class TransformerConfig(HeadConfig):
    """``dim`` is the width of the tokens, split over ``heads``; ``hidden`` that of the feed-forward
    layers. ``dropout`` follows the projection, every attention and every feed-forward layer.
    """

    dim: int = tunable(512, choices=(64, 128, 256, 512), ge=8)
    heads: int = Field(8, ge=1)
    layers: int = tunable(2, low=1, high=4, ge=1)
    hidden: int = Field(512, ge=1)
    dropout: float = tunable(0.0, low=0.0, high=0.5, ge=0, lt=1)

    _heads_divide_dim = heads_divide("dim")


class EncoderLayer(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed(norm(x))`` with a GELU between two layers."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.attention = SelfAttention(config.dim, config.heads)
        self.dropout = Dropout(config.dropout)
        self.feed = nn.Sequential(
            nn.Linear(config.dim, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.dim),
            Dropout(config.dropout),
        )

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Apply the layer to packed sequences ``(sum n, dim)``; keeps the shape."""
        x = x + self.dropout(self.attention(self.norm1(x), sizes))
        return self._fed(x)

    def class_tokens(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the first tokens' outputs ``(B, dim)`` and scores of all rows ``(n, heads)``."""
        rows, scores = self.attention.first_rows(self.norm1(x), sizes)
        # The residual of the first tokens only.
        first = torch.stack([rows[0] for rows in x.split_with_sizes(list(sizes))])
        return self._fed(first + self.dropout(rows)), scores

    def _fed(self, x: Tensor) -> Tensor:
        return by_parts(lambda rows: rows + self.feed(self.norm2(rows)), x)


class Transformer(HeadedMethod):
    """Projection, class token, pre-norm layers, norm and classifier on the class token.

    There are no positions, so the order of patches does not matter. The last layer computes
    only the class token, the one row that the classifier reads.

    Cost with D = 1024 and 7 classes: 3.68 M parameters; 6.3 MFLOP per patch with N = 1,024, 12.6
    with 4,096, 23.1 with 9,216, so quadratic in N; memory is linear where the attention is fused.
    ``Output.attention`` ``(sum N, 1)`` is the class token's attention in the last layer, mean over
    heads, without the share of the token itself.
    """

    Config = TransformerConfig
    config: TransformerConfig
    paper = PaperCard(
        title="Transformer-based biomarker prediction from colorectal cancer histology: A "
        "large-scale multicentric study",
        year=2023,
        venue="Cancer Cell 41(9):1650-1661",
        link="https://doi.org/10.1016/j.ccell.2023.08.002",
        code="",
        differs=(
            "a plain pre-norm encoder of the published widths (dim 512, 8 heads, feed-forward 512) "
            "with two layers; it has no golden vectors",
            "softmax over classes; the paper has one sigmoid for a binary target",
            "50 epochs with early stopping at the published lr and weight decay (the paper trains "
            "for 8 epochs on thousands of slides); weight decay excludes biases and norms",
            "each slide attends to all its patches, with one fused attention per slide size",
        ),
        steps=(
            "project",
            "class token added",
            "layer of self-attention",
            "class token attends to all",
            "classify class token",
        ),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adamw",
        "lr": 2e-5,
        "weight_decay": 2e-5,
        "epochs": 50,
        "batch_size": 1,
        "patience": 10,
    }
    ablations = Ablations(
        variants={"one_layer": Switch("one layer", {"layers": 1})}, twins=("abmil", "transmil")
    )

    def __init__(self, config: TransformerConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.project = Projection(dim, config.dim, config.dropout)
        self.token = nn.Parameter(torch.randn(1, config.dim))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers - 1))
        self.last = EncoderLayer(config)
        self.norm = nn.LayerNorm(config.dim)
        self.classifier = nn.Linear(config.dim, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and attention ``(sum N, 1)``.

        Bags are computed in the order of their sizes, so that equal ones are neighbours.
        """
        order, place = order_by_size(batch.sizes)
        bags = self.project(batch.features).split_with_sizes(list(batch.sizes))
        token = self.token.to(bags[0].dtype)  # autocast: that of the projection
        # In order of size, a token in front of each.
        x = torch.cat([rows for b in order for rows in (token, bags[b])])
        sizes = [1 + batch.sizes[b] for b in order]
        for layer in self.layers:
            x = layer(x, sizes)
        tokens, scores = self.last.class_tokens(x, sizes)  # (B, dim)
        numbers = self.classifier(self.norm(tokens))
        sequences = scores.split_with_sizes(sizes)
        patches = torch.cat([sequences[p][1:] for p in place])  # (sum N, heads)
        # The softmax over patches only: the share of the token itself is left out.
        attention = segment_softmax(patches, batch.segment, batch.offsets)
        return Output(
            logits=self.decision(torch.stack([numbers[p] for p in place])),
            attention={LEAF: attention.mean(1, keepdim=True)},
        )


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017), queries, keys and values without biases.

    Neighbours of equal size share a call of ``scaled_dot_product_attention``, whose fused kernels
    keep no matrix of ``n x n``. Nothing is padded.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Attend within packed sequences of ``sizes`` rows: ``(sum n, dim)``; keeps the shape."""
        mixed = []
        for run in equal_runs(self.qkv(x), sizes):
            # (3, g, heads, n, dim / heads)
            heads = torch.unflatten(run, 2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            attended = dot_product_attention(*heads)  # (g, heads, n, dim / heads)
            mixed.append(attended.transpose(1, 2).flatten(2))
        rows: Tensor = self.out(pack(mixed))
        return rows

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the outputs of the first rows ``(B, dim)`` and their scores of all rows.

        Scores are ``(sum n, heads)``. The same function, linear in ``n``: keys are folded into
        the few queries, and values are projected after they are averaged.
        """
        bags = BagBatch.of_rows(x, sizes)
        # (heads, dim / heads, dim)
        to_query, to_key, to_value = torch.unflatten(self.qkv.weight, 0, (3, self.heads, -1))
        first = x[bags.offsets[:-1]]  # (B, dim)
        queries = torch.einsum("bw,hdw->bhd", first, to_query.to(x.dtype)) / sqrt(to_key.shape[1])
        # q (x W_k^T)^T = (q W_k) x^T: (B, dim, heads).
        matrices = torch.einsum("bhd,hdw->bwh", queries, to_key.to(queries.dtype))
        scores = segment_map(x, matrices, bags.sizes)  # (sum n, heads)
        attention = segment_softmax(scores, bags.segment, bags.offsets)
        means = segment_matmul(attention, x, bags.segment, bags.sizes)  # (B, heads, dim)
        # W_v of the weighted mean.
        values = torch.einsum("bhw,hdw->bhd", means, to_value.to(means.dtype))
        rows: Tensor = self.out(values.flatten(1))
        return rows, scores
