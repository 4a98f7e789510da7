"""The definition of a score, and the facts about every metric in one table.

A :class:`Score` is the key of every number: a metric, of a level of the tree, from a source, of all
slides or of one class. A metric with a line in this table and a function that computes it (see
``docs/statistics.md``) is shown on boards, pages and figures without any further list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, NamedTuple

from mil_bench.base.taxonomy import LEAF

Unit = Literal["fraction", "count", "levels", "grades", "nats", "squared"]
MetricNeeds = Literal["", "ordered classes", "tree", "direct head"]
Denominator = Literal["", "true", "other", "decided", "undecided"]

PRIMARY = "balanced_accuracy"
TABLE_VERSION = "1"
"""Raised when a score of the same predictions changes; protocols state it."""


@dataclass(frozen=True)
class Metric:
    """A metric and how to read it.

    ``better`` is +1 when higher is better, -1 when lower is, 0 when neither (a count). ``chance``
    is what random predictions reach, in words. ``needs`` says when it is absent. ``upper`` metrics
    are on boards for upper levels, too. ``compared`` metrics are also shown as the gain of a
    level's own head over summed leaves. Those of decisions are also shown for the ancestors of a
    decided leaf. ``share_of`` says which slides a rate of one class is a share of, by truth or by
    decision. Such a rate has Wilson's interval where it is 0 or 1.
    """

    name: str
    title: str
    better: Literal[1, -1, 0]
    unit: Unit = "fraction"
    needs: MetricNeeds = ""
    chance: str = ""
    note: str = ""
    upper: bool = False
    compared: bool = False
    share_of: Denominator = ""

    @property
    def percent(self) -> bool:
        """Whether screens show it times 100."""
        return self.unit == "fraction"


# fmt: off
_LEVEL = (
    Metric("accuracy", "Acc", 1, chance="largest class at most", note="share of right decisions",
           upper=True, compared=True),
    Metric("balanced_accuracy", "Bal. acc", 1, chance="1/K", note="mean sensitivity over classes",
           upper=True, compared=True),
    Metric("macro_auc", "AUC", 1, chance="0.5", note="mean one-vs-rest ROC AUC over classes",
           upper=True, compared=True),
    Metric("macro_f1", "F1", 1, chance="about 1/K", note="mean F1 over classes", upper=True),
    Metric("worst_sensitivity", "Worst sens", 1, chance="1/K at most", note="of the worst class"),
    Metric("qwk", "QWK", 1, needs="ordered classes", chance="0", note="quadratic weighted kappa"),
    Metric("linear_kappa", "Lin. kappa", 1, needs="ordered classes", chance="0"),
    Metric("mae", "MAE", -1, "grades", "ordered classes", note="mean error in grades"),
    Metric("rps", "RPS", -1, needs="ordered classes", note="ranked probability score"),
    Metric("brier", "Brier", -1, "squared", chance="1 - 1/K when uniform", note="between 0 and 2",
           upper=True),
    Metric("ece", "ECE", -1, note="15 equal-mass bins; biased upward for few slides", upper=True),
    Metric("log_loss", "Log loss", -1, "nats", chance="ln K when uniform"),
)
_CLASS = (
    Metric("support", "Slides", 0, "count"),
    Metric("patients", "Patients", 0, "count"),
    Metric("auc", "AUC", 1, chance="0.5", note="undefined without positives or negatives"),
    Metric("ap", "AP", 1, chance="prevalence", note="average precision"),
    Metric("sensitivity", "Sens", 1, chance="share of decisions", note="recall",
           share_of="true"),
    Metric("specificity", "Spec", 1, chance="1 - share of decisions", share_of="other"),
    Metric("ppv", "PPV", 1, chance="prevalence", note="undefined for a class never decided",
           share_of="decided"),
    Metric("npv", "NPV", 1, chance="1 - prevalence", share_of="undecided"),
    Metric("f1", "F1", 1),
)
_TREE = (
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
# fmt: on
METRICS = {metric.name: metric for metric in (*_LEVEL, *_CLASS, *_TREE)}
COUNTS = tuple(metric.name for metric in _CLASS if metric.unit == "count")
CLASS_METRICS = tuple(metric.name for metric in _CLASS if metric.unit != "count")
CALIBRATION = ("brier", "log_loss", "ece")
"""Metrics of probabilities that every level has: columns of the calibration table, in order."""


class Score(NamedTuple):
    """Which number: ``metric`` of all slides at a ``level``, or of the class ``name`` of it.

    ``source`` says how the level is decided: ``direct`` (its own head), ``summed`` (leaf
    probabilities), ``path`` (the ancestor of the most probable leaf), ``crm`` (that of the leaf of
    least risk); ``gain`` is direct minus summed. Scores of the whole tree have neither.

    The text is the name of its column. It is never parsed: to find the score of a name, look it up
    in :func:`~mil_bench.evaluation.scores.scores_by_name`.
    """

    metric: str
    level: str = LEAF
    source: str = "direct"
    name: str = ""

    @classmethod
    def of_tree(cls, metric: str) -> Score:
        """Return the score of the whole tree."""
        return cls(metric, "", "")

    @property
    def is_leaf(self) -> bool:
        """Whether it is of the leaves as they are decided."""
        return (self.level, self.source) == (LEAF, "direct")

    @property
    def plain(self) -> bool:
        """Whether the metric alone names it: of the leaves, of the whole tree, or of a class."""
        return bool(self.name) or not self.level or self.is_leaf

    def __str__(self) -> str:
        """``accuracy``, ``severity``, ``coarse_direct_accuracy``."""
        return self.metric if self.plain else f"{self.level}_{self.source}_{self.metric}"

    @property
    def on_boards(self) -> bool:
        """Whether boards show it: at upper levels they show few metrics, and files hold those."""
        return self.plain or self.source not in ("summed", "direct") or self.facts.upper

    @property
    def facts(self) -> Metric:
        """Return the metric as this score has it: title with its level, direction, needs."""
        return _facts(self)


@cache
def _facts(score: Score) -> Metric:
    """Cached, because boards look up the facts of few scores in every cell."""
    metric = METRICS[score.metric]
    if score.plain:
        return metric
    return replace(
        metric,
        name=str(score),
        title=f"{score.level} {score.source} {metric.title}",
        needs="direct head" if score.source in ("direct", "gain") else "tree",
        chance="0" if score.source == "gain" else metric.chance,
        # A gain above 0 is better, whatever the metric.
        better=1 if score.source == "gain" else metric.better,
    )


def in_order(scores: Iterable[Score]) -> list[Score]:
    """Sort scores: those of upper levels as they come, then the others as in the table."""
    order = {name: i for i, name in enumerate(METRICS)}
    # -1: in front, in the order given.
    return sorted(dict.fromkeys(scores), key=lambda s: order[s.metric] if s.plain else -1)
