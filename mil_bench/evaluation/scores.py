"""All scores of one set of predictions together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mil_bench.evaluation.classwise import ClassScores, classwise_scores
from mil_bench.evaluation.hierarchical import hierarchical_scores
from mil_bench.evaluation.overall import overall_scores
from mil_bench.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Scores:
    """Scores with the slides and groups (patients) they rest on."""

    overall: Mapping[str, float]
    hierarchical: Mapping[str, float]
    classes: tuple[ClassScores, ...]
    slides: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def of(cls, p: Predictions) -> Scores:
        """Score ``p`` at every level."""
        return cls(
            overall_scores(p),
            hierarchical_scores(p),
            tuple(classwise_scores(p)),
            frozenset(p.slide_ids.tolist()),
            frozenset(p.groups.tolist()),
        )
