"""Features that every level attends to: offline at the top, re-embedded step by step below."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.nn.dense import Linear, Projection
from mil_bench.nn.parts import by_parts


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
        self.stem = _reembedding(dim, config.embed_dim, dim) if embedded else nn.Identity()
        self.steps = nn.ModuleDict()
        self.dims: dict[str, int] = {}
        after_stem = embedded
        for level in levels:
            if level == top or not config.online:
                self.steps[level] = nn.Identity()
            else:
                self.steps[level] = (
                    Linear(dim, config.fine_dim)
                    if after_stem
                    else _reembedding(dim, config.embed_dim, config.fine_dim)
                )
                dim, after_stem = config.fine_dim, False
            self.dims[level] = dim

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(sum N, D)`` -> level name -> ``(sum N, D_level)``."""
        h = by_parts(self.stem, x)
        features = {}
        for level, step in self.steps.items():
            h = features[level] = by_parts(step, h)
        return features


def _reembedding(in_dim: int, hidden_dim: int, out_dim: int) -> nn.Module:
    return nn.Sequential(Projection(in_dim, hidden_dim), Linear(hidden_dim, out_dim))
