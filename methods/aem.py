"""AEM: attention pooling whose attention entropy is maximised (Zhang et al., MICCAI 2025)."""

from __future__ import annotations

from typing import Any, ClassVar

from mil_bench.base.config import tunable
from mil_bench.contract.method import Ablations, Component, PaperCard, Switch
from mil_bench.methods.abmil import ABMIL, SLIDE_RECIPE, ABMILConfig


class AEMConfig(ABMILConfig):
    """ABMIL with the weight of its entropy term switched on."""

    entropy_weight: float = tunable(0.1, low=0.001, high=0.5, log=True, ge=0)


class AEM(ABMIL):
    """ABMIL plus ``weight * sum_i a_i log a_i`` in its loss.

    Other methods have the same term as a setting (``entropy_weight``); this name is the paper's
    combination, with gated attention pooling.
    """

    Config = AEMConfig
    config: AEMConfig
    paper = PaperCard(
        title="AEM: Attention Entropy Maximization for Multiple Instance Learning based Whole "
        "Slide Image Classification",
        year=2025,
        venue="MICCAI",
        link="https://arxiv.org/abs/2406.15303",
        code="dazhangyu123/AEM @ 42c8dbe (read for the loss; no golden vectors)",
        differs=(
            "widths, dropout and recipe are those of abmil, so the two differ by the entropy term "
            "only (official: no dropout, 50 epochs with AdamW and a cosine schedule)",
            "weight 0.1 for all datasets, the official default; the paper chooses it for each",
            "constant weight as in the official code; entropy_schedule=cosine decreases it to "
            "zero, for the cosine weight annealing of the published paper",
        ),
        steps=("project", "gated attention", "weighted mean", "classify"),
        losses=("cross entropy", "negative entropy of attention"),
    )
    recipe: ClassVar[dict[str, Any]] = SLIDE_RECIPE
    ablations = Ablations(
        components={
            "entropy": Component("attention entropy", {"entropy_weight": 0.0}),
            "gating": Component("gated attention", {"gated": False}),
        },
        variants={"annealed": Switch("cosine weight annealing", {"entropy_schedule": "cosine"})},
        twins=("abmil",),
    )
