"""The base of methods that make vectors of a bag and leave the rest to a head."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.errors import ConfigError
from mil_bench.method import Method, Output
from mil_bench.nn.heads.conditional import Conditional
from mil_bench.nn.heads.config import HeadOptions
from mil_bench.nn.heads.flat import Flat
from mil_bench.nn.heads.head import Head
from mil_bench.nn.heads.marginal import Marginal
from mil_bench.nn.heads.multi import Multi
from mil_bench.nn.heads.soft_labels import SoftLabels
from mil_bench.taxonomy import Taxonomy


class HeadedMethod(Method):
    """Its last layer gives ``self.decision.outputs`` numbers; ``self.decision`` does the rest.

    ``forward`` returns ``Output(self.decision(numbers), ...)``. Raises ``ConfigError`` for a
    hierarchical head on a flat tree.
    """

    def __init__(self, config: HeadOptions, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.decision = make_head(config, taxonomy)

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """The terms of the head."""
        return self.decision.loss(output.logits, batch.labels, self._class_weights)


def make_head(config: HeadOptions, taxonomy: Taxonomy) -> Head:
    """The head that ``config`` names; a name of the method's own is flat here."""
    makers: dict[str, Callable[[], Head]] = {
        "multi": lambda: Multi(taxonomy),
        "conditional": lambda: Conditional(taxonomy, config.hxe_alpha),
        "marginal": lambda: Marginal(taxonomy),
        "soft-labels": lambda: SoftLabels(taxonomy, config.soft_beta),
    }
    if config.head not in makers:
        return Flat(taxonomy)
    if taxonomy.depth == 1:
        raise ConfigError(
            f"head={config.head} needs a tree of two or more levels, and tree {taxonomy.name!r} "
            "is flat; use head=flat or a dataset with a tree."
        )
    return makers[config.head]()
