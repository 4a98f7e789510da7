"""Methods that compute the vector of a bag and leave logits and loss to a head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from torch import Tensor

from mil_bench.base.config import SearchRange, later
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method, MethodConfig, Output, Switch
from mil_bench.nn.heads import Conditional, Flat, Head, Marginal, Multi, SoftLabels

HeadName = Literal["flat", "multi", "conditional", "marginal", "soft-labels"]


class HeadOptions(MethodConfig):
    """Settings of a head: ``hxe_alpha`` of the conditional one, ``soft_beta`` of soft labels."""

    head: str
    hxe_alpha: float = later(0.5, SearchRange(0.0, 1.0, where={"head": "conditional"}), ge=0)
    soft_beta: float = later(
        4.0, SearchRange(1.0, 30.0, log=True, where={"head": "soft-labels"}), gt=0
    )


class HeadConfig(HeadOptions):
    """Base of the configuration of a method whose head is an option.

    ``flat``         the leaf classes
    ``multi``        the classes of every level, each level by itself
    ``conditional``  every class given its parent (Bertinetto et al., CVPR 2020)
    ``marginal``     the leaf classes, whose sums are trained at every level
    ``soft-labels``  the leaf classes, trained on labels spread by the tree (Bertinetto et al.)
    """

    head: HeadName = later("flat")


def _switch(title: str, head: HeadName) -> Switch:
    overrides: dict[str, Any] = {"head": head}
    return Switch(title, overrides, levels=True)


HEADS: Final = {
    "multi_head": _switch("a classifier per level", "multi"),
    "conditional_head": _switch("classes given their parents", "conditional"),
    "marginal_head": _switch("sums of leaves trained", "marginal"),
    "soft_labels": _switch("labels softened by the tree", "soft-labels"),
}
"""The hierarchical heads as variants of a flat method."""


class HeadedMethod(Method):
    """Base of methods with a head, ``self.decision``.

    The last layer has ``self.decision.outputs`` outputs, and ``forward`` returns
    ``Output(self.decision(numbers), ...)``. Raises ``ConfigError`` for a
    hierarchical head on a flat tree.
    """

    def __init__(self, config: HeadOptions, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.decision = make_head(config, taxonomy)

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the terms of the head."""
        return self.decision.loss(output.logits, batch.labels, self._class_weights)


def make_head(config: HeadOptions, taxonomy: Taxonomy) -> Head:
    """Return the head that ``config`` names; names specific to a method are flat here."""
    makers: dict[str, Callable[[], Head]] = {  # made when named: two of them read the levels
        "multi": lambda: Multi(taxonomy),
        "conditional": lambda: Conditional(taxonomy, config.hxe_alpha),
        "marginal": lambda: Marginal(taxonomy),
        "soft-labels": lambda: SoftLabels(taxonomy, config.soft_beta),
    }
    if config.head not in makers:  # heads of a method's own, such as sigmoid
        return Flat(taxonomy)
    if taxonomy.depth == 1:
        raise ConfigError(
            f"head={config.head} requires a label tree of two or more levels, but tree "
            f"{taxonomy.name!r} is flat; use head=flat or a dataset with a tree."
        )
    return makers[config.head]()
