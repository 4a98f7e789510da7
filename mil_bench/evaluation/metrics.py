"""The facts about every metric, in one table: what boards and pages show beside a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["fraction", "count", "levels", "grades", "nats", "squared"]
Needs = Literal["", "ordered classes", "tree", "direct head"]

PRIMARY = "balanced_accuracy"


@dataclass(frozen=True)
class Metric:
    """One metric.

    ``better`` is +1 when higher is better, -1 when lower is, 0 when neither (a count).
    ``chance`` is what random predictions reach, in words. ``needs`` says when it is absent.
    """

    name: str
    title: str
    better: Literal[1, -1, 0]
    unit: Unit = "fraction"
    needs: Needs = ""
    chance: str = ""
    note: str = ""

    @property
    def percent(self) -> bool:
        """Whether screens show it times 100."""
        return self.unit == "fraction"


_TABLE = (
    Metric("accuracy", "Acc", 1, chance="largest class at most", note="share of right decisions"),
    Metric("balanced_accuracy", "Bal. acc", 1, chance="1/K", note="mean sensitivity over classes"),
    Metric("macro_auc", "AUC", 1, chance="0.5", note="mean one-vs-rest ROC AUC over classes"),
    Metric("macro_f1", "F1", 1, chance="about 1/K", note="mean F1 over classes"),
    Metric("worst_sensitivity", "Worst sens", 1, chance="1/K at most", note="of the worst class"),
    Metric("qwk", "QWK", 1, needs="ordered classes", chance="0", note="quadratic weighted kappa"),
    Metric("linear_kappa", "Lin. kappa", 1, needs="ordered classes", chance="0"),
    Metric("mae", "MAE", -1, "grades", "ordered classes", note="mean error in grades"),
    Metric("rps", "RPS", -1, needs="ordered classes", note="ranked probability score"),
    Metric("brier", "Brier", -1, "squared", chance="1 - 1/K when uniform", note="between 0 and 2"),
    Metric("ece", "ECE", -1, note="15 equal-mass bins; biased upward for few slides"),
    Metric("log_loss", "Log loss", -1, "nats", chance="ln K when uniform"),
    # one class against the rest
    Metric("support", "Slides", 0, "count"),
    Metric("patients", "Patients", 0, "count"),
    Metric("auc", "AUC", 1, chance="0.5", note="undefined without positives or negatives"),
    Metric("ap", "AP", 1, chance="prevalence", note="average precision"),
    Metric("sensitivity", "Sens", 1, chance="share of decisions", note="recall"),
    Metric("specificity", "Spec", 1, chance="1 - share of decisions"),
    Metric("ppv", "PPV", 1, chance="prevalence", note="undefined for a class never decided"),
    Metric("npv", "NPV", 1, chance="1 - prevalence"),
    Metric("f1", "F1", 1),
    # the tree
    Metric("fine_error", "Fine error", -1, needs="tree", note="share of wrong leaves"),
    Metric("severity", "Severity", -1, "levels", "tree", note="mean LCA height of wrong slides"),
    Metric("mean_lca_distance", "LCA dist", -1, "levels", "tree", note="mean LCA height"),
    Metric("crm_mean_lca_distance", "CRM dist", -1, "levels", "tree", note="leaf of least risk"),
    Metric("full_path_accuracy", "Full path", 1, needs="tree", note="every level right"),
    Metric("inconsistency", "Inconsist.", -1, needs="tree", note="heads contradict each other"),
    Metric("soft_inconsistency", "Soft incons.", -1, needs="tree", note="head against leaf sums"),
    Metric("hp", "hP", 1, needs="tree", note="hierarchical precision without the root"),
    Metric("hr", "hR", 1, needs="tree", note="hierarchical recall without the root"),
    Metric("hf", "hF", 1, needs="tree", note="hierarchical F1 without the root"),
)
METRICS = {metric.name: metric for metric in _TABLE}

_SOURCES = ("summed", "direct", "path", "crm", "gain")


def facts(name: str) -> Metric:
    """The metric behind a score's name; ``coarse_direct_accuracy`` is an accuracy of that level.

    Raises ``KeyError`` for a name that is neither.
    """
    if name in METRICS:
        return METRICS[name]
    level, source, base = _parts(name)
    known = METRICS[base]
    title = " ".join(filter(None, [level, source, known.title]))
    needs: Needs = "direct head" if source in ("direct", "gain") else "tree"
    chance = "0" if source == "gain" else known.chance
    better = 1 if source == "gain" else known.better
    return replace(known, name=name, title=title, needs=needs, chance=chance, better=better)


def in_order(names: Iterable[str]) -> list[str]:
    """Metric names in the order of the table, names of levels as they come."""
    order = {name: i for i, name in enumerate(METRICS)}
    return sorted(dict.fromkeys(names), key=lambda name: order.get(name, -1))


def _parts(name: str) -> tuple[str, str, str]:
    level, _, rest = name.partition("_")
    source, _, base = rest.partition("_")
    return (level, source, base) if source in _SOURCES else (level, "", rest)
