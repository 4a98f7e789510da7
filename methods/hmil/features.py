"""Features that every level attends to: offline at the top, re-embedded step by step below."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.nn.affine import Affine
from mil_bench.nn.parts import by_parts
from mil_bench.nn.projection import Projection


class FeatureChain(nn.Module):
    """Level features, each level reading those of the level above it.

    The ``top`` level reads ``h_c``: the encoder's features (``offline``) or their re-embedding of
    the same width (``embedded``). Every other level adds one learned step, so that two levels
    give the paper's ``h_c`` and ``h_f``. A tree without a level above its leaves has no ``top``.

    A step is ``Linear -> ReLU -> Linear``; after an embedded stem, which ends in a linear layer
    of its own, the first step is a single ``Linear``, as in the released code.
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
                self.steps[level] = nn.Identity()
            else:
                self.steps[level] = (
                    nn.Linear(dim, config.fine_dim)
                    if after_stem
                    else ReEmbedding(dim, config.embed_dim, config.fine_dim)
                )
                dim, after_stem = config.fine_dim, False
            self.dims[level] = dim

    def forward(self, x: Tensor) -> dict[str, Affine]:
        """``(sum N, D)`` -> level name -> ``(sum N, D_level)``, as linear maps of what is kept."""
        h = _through(self.stem, Affine(x))
        features = {}
        for level, step in self.steps.items():
            h = features[level] = _through(step, h)
        return features


class ReEmbedding(nn.Sequential):
    """``Linear -> ReLU -> Linear``; only what the ReLU gives is computed."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(Projection(in_dim, hidden_dim), nn.Linear(hidden_dim, out_dim))

    def forward(self, h: Affine) -> Affine:
        """Features of width ``in_dim`` -> features of width ``out_dim``."""
        project, linear = self
        assert isinstance(linear, nn.Linear)
        return Affine(by_parts(lambda x: project(h.part(x)), h.x)).then(linear)


def _through(step: nn.Module, h: Affine) -> Affine:
    if isinstance(step, nn.Linear):
        return h.then(step)
    features: Affine = step(h)
    return features
