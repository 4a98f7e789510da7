"""The option of methods that takes a head."""

from __future__ import annotations

from typing import Any, Final, Literal

from mil_bench.ablation.declaration import Switch
from mil_bench.config import SearchRange, later
from mil_bench.method import MethodConfig

HeadName = Literal["flat", "multi", "conditional", "marginal", "soft-labels"]


class HeadOptions(MethodConfig):
    """``hxe_alpha`` belongs to the conditional head, ``soft_beta`` to that of soft labels."""

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
