"""Methods whose features are trained with them: an adapter, or the encoder's last blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.errors import UsageError
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method, Output
from mil_bench.extraction.encoders.encoder import Encoder, Pooled, default_batch
from mil_bench.nn.precision import feature_type

FACTS = (
    *("version", "order_dependent", "needs_coords", "attention_is_distribution"),
    *("safe_in_bf16", "head_layers"),
)
FEATURES = "online_features"


class WrappedMethod(Method):
    """``inner`` on other features of the same instances, trained together with their source.

    Everything else, hooks and facts included, is that of ``inner``. Its loss receives the features
    of its forward pass: they are passed in ``Output.extras``.
    """

    def __init__(self, inner: Method) -> None:
        super().__init__(inner.config, inner.dim, inner.taxonomy)
        self.inner = inner
        for fact in FACTS:
            # On the instance: facts are class attributes of each method.
            setattr(self, fact, getattr(inner, fact))

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Map the contents of a batch ``(sum N, ...)`` to features ``(sum N, D)`` for ``inner``."""

    def forward(self, batch: BagBatch) -> Output:
        """Score every bag as ``inner`` does from the new features."""
        features = self.embed(batch.features)
        output: Output = self.inner(replace(batch, features=features))
        # So that the loss does not embed again.
        return replace(output, extras={**output.extras, FEATURES: features})

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the terms of ``inner``."""
        return self.inner.loss(output, replace(batch, features=output.extras[FEATURES]), progress)

    def before_epoch(self, progress: float) -> None:
        """Do what ``inner`` does."""
        self.inner.before_epoch(progress)

    def after_step(self, progress: float) -> None:
        """Do what ``inner`` does."""
        self.inner.after_step(progress)

    def set_class_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Do what ``inner`` does."""
        self.inner.set_class_weights(weights)

    @property
    def neighbours(self) -> int:
        """Number of neighbours per patch, that of ``inner``."""
        return self.inner.neighbours


# ``--online adapter``: a small residual network between the stored features and the method.


class Adapted(WrappedMethod):
    """``x + U relu(V x)`` with ``V`` ``(width, D)``, the same for every instance.

    The bottleneck adapter of Houlsby et al. (ICML 2019), after the encoder instead of inside of it.
    ``U`` begins at zero: before the first step the method is exactly the one without adapter.
    """

    def __init__(self, inner: Method, width: int) -> None:
        super().__init__(inner)
        self.down = nn.Linear(inner.dim, width)
        self.up = nn.Linear(width, inner.dim)
        nn.init.zeros_(self.up.weight)  # U = 0: the identity at the start
        nn.init.zeros_(self.up.bias)

    def embed(self, features: Tensor) -> Tensor:
        """Return the adapted features ``(sum N, D)``."""
        change: Tensor = self.up(F.relu(self.down(features)))
        return features + change.to(features.dtype)


# ``--online blocks=N``: the last blocks of the encoder are trained with the method.


class FineTuned(WrappedMethod):
    """``inner`` behind ``encoder``, whose last ``blocks`` blocks are trained.

    A batch holds pixels of tiles in training and features of :meth:`encoded` in evaluation; their
    type separates them. Only the trained blocks are parameters here, so only they are in
    checkpoints; the frozen rest is in the file of the encoder. It stays in evaluation mode: norms
    keep their statistics and a tile has the same features in training and in evaluation.
    """

    def __init__(self, inner: Method, encoder: Encoder, blocks: int) -> None:
        super().__init__(inner)
        self.encoder = encoder
        self.at_once = default_batch(encoder.device)
        trained = last_blocks(encoder.network, blocks, encoder.name)
        # ParameterDict allows no dots in names.
        self.last = nn.ParameterDict({k.replace(".", "/"): p for k, p in trained.items()})

    def embed(self, features: Tensor) -> Tensor:
        """Map tiles ``(sum N, scaled * scaled * 3)`` uint8, or features, to ``(sum N, D)``."""
        if features.dtype != torch.uint8:  # features of an evaluation batch
            return features
        side = self.encoder.card.scaled
        # As many at once as extraction encodes.
        parts = torch.split(features.view(-1, side, side, 3), self.at_once)
        return self._typed(torch.cat([self.encoder.encode(part) for part in parts]))

    @torch.no_grad()
    def encoded(self, tiles: Tensor) -> Tensor:
        """Map tiles ``(n, scaled, scaled, 3)`` uint8 to features ``(n, D)`` for ``inner``."""
        return self._typed(self.encoder.encode(tiles))

    def _typed(self, features: Tensor) -> Tensor:
        return features.to(feature_type(self.encoder.precision))


# Which parameters of an encoder are its last blocks.

AFTER = (r".", (99999,))  # timm's mark for parameters that belong to the group before


def last_blocks(network: Pooled, blocks: int, name: str) -> dict[str, nn.Parameter]:
    """Return the parameters of the last ``blocks`` blocks by name; freeze all others.

    A block is what timm groups for learning rates by layer: a layer of a transformer, a residual
    block, a stage of the smallest networks. What follows the last one (a closing norm) is part of
    it; the stem is none. Raises ``UsageError`` when there are fewer.
    """
    groups = _groups(network.network, name)
    if blocks >= len(groups):  # group 0 is the stem
        raise UsageError(
            f"--online blocks={blocks}: encoder {name} has {len(groups) - 1} blocks; use fewer."
        )
    chosen = {parameter for group in groups[len(groups) - blocks :] for parameter in group}
    trained = {}
    for full, parameter in network.network.named_parameters():
        parameter.requires_grad_(full in chosen)  # set both ways: nothing else may train
        if full in chosen:
            trained[full] = parameter
    return trained


def _groups(network: Any, name: str) -> list[list[str]]:
    """Names of parameters: the stem, then a list per block."""
    from timm.models import group_parameters  # takes seconds

    if not hasattr(network, "group_matcher"):
        raise UsageError(
            f"timm does not define the blocks of encoder {name}; use --online adapter."
        )
    matcher = dict(network.group_matcher())
    blocks = matcher["blocks"]
    rules = [(blocks, None)] if isinstance(blocks, str) else list(blocks)
    matcher["blocks"] = [*rules, AFTER]  # a closing norm joins the last block
    groups: dict[int, list[str]] = group_parameters(network, matcher)
    return [groups[place] for place in sorted(groups)]
