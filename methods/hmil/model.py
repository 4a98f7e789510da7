"""HMIL's network: a chain of re-embeddings, and a class-wise attention branch per level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.nn.layers import Affine, AttentionNet, Projection, kaiming_linear
from mil_bench.nn.segment import segment_matmul, segment_softmax
from mil_bench.nn.sequences import by_parts


@dataclass(frozen=True)
class BranchOutput:
    """``logits`` ``(B, K)``, ``attention`` ``(sum N, K)``, bag vectors ``bags`` ``(B, K, D)``."""

    logits: Tensor
    attention: Tensor
    bags: Tensor


class ClasswiseScorer(nn.Module):
    """Scores the bag vector of every class: a weight vector per class, or one for all of them."""

    def __init__(self, dim: int, n_classes: int, shared: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 1 if shared else n_classes)

    def forward(self, bags: Tensor) -> Tensor:
        """Score bag vectors ``(B, K, D)`` as ``(B, K)``: logit of class ``k`` from vector ``k``."""
        return (bags * self.linear.weight).sum(-1) + self.linear.bias


class Branch(nn.Module):
    """``A = softmax_N(attention(h))``, ``B = A h``, one logit per class (Jin et al., 2025)."""

    def __init__(
        self, dim: int, hidden_dim: int, n_classes: int, shared: bool, dropout: float
    ) -> None:
        super().__init__()
        self.attention = AttentionNet(dim, hidden_dim, n_classes, dropout=dropout)
        self.classifier = ClasswiseScorer(dim, n_classes, shared)

    def forward(self, h: Affine, batch: BagBatch) -> BranchOutput:
        """Attend to ``h`` ``(sum N, D)``, the level's features of the instances of ``batch``."""
        attention = segment_softmax(self.attention(h), batch.segment, batch.offsets)  # (sum N, K)
        # The map of the mean is the mean of the map: B rows per class are mapped instead of sum N.
        bags = h.of_mean(segment_matmul(attention, h.x, batch.segment, batch.sizes))
        return BranchOutput(self.classifier(bags), attention, bags)


class HMILNet(nn.Module):
    """One branch per level in ``sizes`` (level name -> number of classes, top level first)."""

    def __init__(
        self, config: HMILConfig, dim: int, sizes: Mapping[str, int], top: str | None
    ) -> None:
        super().__init__()
        self.features = FeatureChain(config, dim, list(sizes), top)
        self.branches = nn.ModuleDict(
            {
                level: Branch(
                    self.features.dims[level],
                    config.fine_attention_dim if level == LEAF else config.coarse_attention_dim,
                    n_classes,
                    shared=config.classifier == "shared",
                    dropout=config.dropout,
                )
                for level, n_classes in sizes.items()
            }
        )
        kaiming_linear(self)  # as released: weights of attention and classifiers too

    def forward(self, batch: BagBatch) -> dict[str, BranchOutput]:
        """Return the output of every level's branch, top level first."""
        features = self.features(batch.features)
        return {level: branch(features[level], batch) for level, branch in self.branches.items()}


class FeatureChain(nn.Module):
    """Level features, each level reading those of the level above it.

    The ``top`` level reads ``h_c``: the encoder's features (``offline``) or their re-embedding of
    the same width (``embedded``). Every other level adds one learned step, so that two levels
    give the paper's ``h_c`` and ``h_f``. A tree without a level above its leaves has no ``top``.

    A step is ``Linear -> ReLU -> Linear``. An embedded stem ends in a linear layer, so the first
    step after it is a single ``Linear``, as in the released code.
    """

    def __init__(
        self, config: HMILConfig, dim: int, levels: Sequence[str], top: str | None
    ) -> None:
        super().__init__()
        embedded = config.online and config.coarse_features == "embedded"
        self.stem = ReEmbedding(dim, config.embed_dim, dim) if embedded else nn.Identity()
        self.steps = nn.ModuleDict()
        self.dims: dict[str, int] = {}
        after_stem = embedded
        for level in levels:
            if level == top or not config.online:
                self.steps[level] = nn.Identity()  # h_c: the stem's output
            else:
                self.steps[level] = (
                    # Two linear layers in a row would be one, so the step after the stem has no
                    # separate ReLU.
                    nn.Linear(dim, config.fine_dim)
                    if after_stem
                    else ReEmbedding(dim, config.embed_dim, config.fine_dim)
                )
                dim, after_stem = config.fine_dim, False
            self.dims[level] = dim

    def forward(self, x: Tensor) -> dict[str, Affine]:
        """Return the features of every level as linear maps: level name to ``(sum N, D_level)``."""
        h = _through(self.stem, Affine(x))
        features = {}
        for level, step in self.steps.items():
            h = features[level] = _through(step, h)
        return features


class ReEmbedding(nn.Sequential):
    """``Linear -> ReLU -> Linear``; only the output of the ReLU is computed."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(Projection(in_dim, hidden_dim), nn.Linear(hidden_dim, out_dim))

    def forward(self, h: Affine) -> Affine:
        """Re-embed features of width ``in_dim`` as features of width ``out_dim``."""
        project, linear = self
        assert isinstance(linear, nn.Linear)
        # The last layer is folded into its readers.
        return Affine(by_parts(lambda x: project(h.part(x)), h.x)).then(linear)


def _through(step: nn.Module, h: Affine) -> Affine:
    if isinstance(step, nn.Linear):
        return h.then(step)
    features: Affine = step(h)
    return features
