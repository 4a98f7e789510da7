"""Configuration of HMIL: the paper's equations, the choices it leaves open, the released code.

A field whose comment says *open* is a choice that the paper does not settle; the paper card says
why its default is what it is and what the alternatives scored.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, model_validator

from mil_bench.ablation.declaration import Ablations, Component, Switch
from mil_bench.config import tunable
from mil_bench.method import MethodConfig

RELEASED: Final[dict[str, Any]] = {
    "classifier": "shared",
    "coarse_features": "embedded",
    "contrast": "all_classes",
    "contrast_loss": "released",
    "bag_alignment": "double_softmax",
    "ba_schedule": "constant",
    "curriculum": "quadratic",
    "ia_weight": 0.0,
    "alignment_axis": "classes",
}
"""What ``variant="released"`` means: the model and total loss of the published code."""


class HMILConfig(MethodConfig):
    """Settings of HMIL. ``variant="released"`` presets the fields of :data:`RELEASED`."""

    variant: Literal["paper", "released"] = "paper"

    # Open: scorer of the class-wise bag vectors, one per class (CLAM-MB's) or one for all classes.
    classifier: Literal["per_class", "shared"] = tunable(
        "per_class", choices=("per_class", "shared")
    )
    # Open: the top level reads the encoder's features, or re-embedded ones of the same width.
    coarse_features: Literal["offline", "embedded"] = tunable(
        "embedded", choices=("offline", "embedded")
    )
    # Open: the contrastive views of a slide, its true class's bag vector or those of all classes.
    contrast: Literal["true_class", "all_classes"] = tunable(
        "all_classes", choices=("true_class", "all_classes")
    )
    # Open: the cosine runs over the instances (per class) or over the classes (per instance).
    alignment_axis: Literal["instances", "classes"] = tunable(
        "instances", choices=("instances", "classes")
    )

    bag_alignment: Literal["nll", "double_softmax"] = "nll"
    ba_schedule: Literal["curriculum", "constant"] = "curriculum"
    contrast_loss: Literal["khosla", "released"] = "khosla"
    curriculum: Literal["linear", "quadratic", "constant"] = "linear"
    temperature: float = tunable(0.1, low=0.05, high=1.0, log=True, gt=0)
    ia_weight: float = tunable(1.0, low=0.1, high=10.0, log=True, ge=0)  # 0 drops the term
    ba_weight: float = tunable(1.0, low=0.1, high=10.0, log=True, ge=0)
    con_weight: float = tunable(1.0, low=0.1, high=10.0, log=True, ge=0)

    online: bool = True  # False: identity instead of the learned re-embedding
    branches: Literal["all", "coarse", "fine"] = "all"
    tree: Literal["true", "shuffled"] = "true"  # tree of the losses; evaluation keeps the true one
    tree_seed: int = Field(0, ge=0)

    embed_dim: int = tunable(256, choices=(128, 256, 512), ge=1)  # hidden width, re-embedding
    fine_dim: int = Field(256, ge=1)  # width of the re-embedded features
    coarse_attention_dim: int = Field(256, ge=1)
    fine_attention_dim: int = Field(64, ge=1)
    dropout: float = tunable(0.0, choices=(0.0, 0.25), ge=0, lt=1)  # in the attention networks

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**RELEASED, **values} if values.get("variant") == "released" else values


ABLATIONS: Final = Ablations(
    components={
        "ia": Component("instance alignment", {"ia_weight": 0.0}, levels=True),
        "ba": Component("bag alignment", {"ba_weight": 0.0}, levels=True),
        "con": Component("contrastive loss", {"con_weight": 0.0}),
        "curriculum": Component("curriculum", {"curriculum": "constant"}),
        "online": Component("re-embedding", {"online": False}),
    },
    variants={
        "released": Switch("the released code", {"variant": "released", **RELEASED}),
        "coarse_only": Switch("upper branches alone", {"branches": "coarse"}, levels=True),
        "fine_only": Switch("leaf branch alone", {"branches": "fine"}, levels=True),
    },
    controls={"shuffled_tree": Switch("shuffled tree", {"tree": "shuffled"}, levels=True)},
    twins=("abmil", "clam-mb"),
)
"""The paper's parts, other forms, the control of the tree, and flat methods to compare with."""
