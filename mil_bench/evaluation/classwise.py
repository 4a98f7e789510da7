"""Scores of every class of every level, one class against the rest."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.confusion import OneVsRest, confusion_matrix
from mil_bench.evaluation.overall import Source, level_probabilities
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.ranking import auc, average_precision


@dataclass(frozen=True)
class ClassScores:
    """One class of one level. ``support`` and ``patients`` count positives; the rest in [0, 1]."""

    level: str
    source: Source
    name: str
    support: int
    patients: int
    auc: float
    ap: float
    sensitivity: float
    specificity: float
    ppv: float
    npv: float
    f1: float

    def metrics(self) -> dict[str, float]:
        """The scores by name, without the identity of the class."""
        skip = ("level", "source", "name")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skip}


def classwise_scores(p: Predictions) -> list[ClassScores]:
    """Every class of every level from the top; levels with a head of their own come twice.

    Leaves are ``direct``; upper levels are ``summed`` and, where the head exists, ``direct``.
    """
    rows: list[ClassScores] = []
    for level in p.taxonomy.levels:
        if level != LEAF:
            rows += level_classes(p, level, "summed")
        if level in p.heads:
            rows += level_classes(p, level, "direct")
    return rows


def level_classes(p: Predictions, level: str, source: Source) -> list[ClassScores]:
    """The classes of one level, from one source, in tree order."""
    truth, probs = p.truth(level), level_probabilities(p, level, source)
    counts = OneVsRest.of(confusion_matrix(truth, probs.argmax(1), probs.shape[1]))
    names = p.taxonomy.classes[level]
    return [
        ClassScores(
            level=level,
            source=source,
            name=name,
            support=int((truth == k).sum()),
            patients=len(np.unique(p.groups[truth == k])),
            auc=auc(truth == k, probs[:, k]),
            ap=average_precision(truth == k, probs[:, k]),
            sensitivity=float(counts.sensitivity[k]),
            specificity=float(counts.specificity[k]),
            ppv=float(counts.ppv[k]),
            npv=float(counts.npv[k]),
            f1=float(counts.f1[k]),
        )
        for k, name in enumerate(names)
    ]
