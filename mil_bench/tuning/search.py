"""One study: a method on some folds, the space around its default, and the rules of the search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, Literal

from mil_bench.errors import UnknownNameError
from mil_bench.evaluation.classwise import ClassScores
from mil_bench.evaluation.metrics_table import METRICS, PRIMARY, facts
from mil_bench.methods import METHODS
from mil_bench.runs.task import DataRequest
from mil_bench.spec import RunSpec
from mil_bench.taxonomy import Taxonomy
from mil_bench.tuning.space import Space

SamplerName = Literal["auto", "tpe", "gp", "random", "grid"]
PrunerName = Literal["none", "median", "wilcoxon"]
Scope = Literal["fold", "folds", "shared"]
GP_TRIALS = 100  # a Gaussian process pays up to here; see docs/tuning.md


@dataclass(frozen=True)
class Rules:
    """What a search is for and how it goes about it. Constraints of ``None`` do not bind."""

    objective: str = PRIMARY
    sampler: SamplerName = "auto"
    pruner: PrunerName = "none"
    max_memory_mb: float | None = None
    max_parameters: int | None = None

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """What the table of metrics says of the objective."""
        return "maximize" if facts(self.objective).better > 0 else "minimize"

    def limits(self) -> dict[str, float]:
        """Number of ``result.json`` -> the most it may be."""
        given = {"peak_memory_mb": self.max_memory_mb, "parameters": self.max_parameters}
        return {name: float(most) for name, most in given.items() if most is not None}


@dataclass(frozen=True)
class Search:
    """Everything that defines one study. Processes are handed this and a storage, nothing else.

    ``starts`` are the runs of trial 0, fold by fold and seed by seed: the default configuration.
    ``scope`` says which folds' validation sets choose the settings: ``fold`` one fold, whose test
    slides stay unseen; ``folds`` several folds with test sets that no fold trains on; ``shared``
    several folds that train on each other's test slides.
    """

    data: DataRequest
    starts: tuple[RunSpec, ...]
    space: Space
    rules: Rules
    scope: Scope

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.starts[0].method

    @property
    def folds(self) -> tuple[int, ...]:
        """The outer folds of the study."""
        return tuple(dict.fromkeys(spec.fold for spec in self.starts))

    @property
    def digest(self) -> str:
        """Hash of everything that would make it another study; not the number of trials."""
        content = json.dumps(self.describe(), sort_keys=True)
        return sha256(content.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Name of the study in its storage: readable, and unique by content."""
        return f"{self.place}-{self.digest}"

    @property
    def place(self) -> str:
        """What the study is about: ``digit-bags-abmil-fold0``."""
        folds = "+".join(map(str, self.folds))
        return f"{self.starts[0].dataset}-{self.method}-fold{folds}"

    @property
    def title(self) -> str:
        """For people: ``abmil on digit-bags, fold 0``."""
        folds = ", ".join(map(str, self.folds))
        word = "folds" if len(self.folds) > 1 else "fold"
        return f"{self.method} on {self.starts[0].dataset}, {word} {folds}"

    def describe(self) -> dict[str, Any]:
        """The content behind :attr:`digest`, kept with the study."""
        rules = self.rules
        return {
            "runs": [spec.key for spec in self.starts],
            "space": self.space.describe(),
            "objective": rules.objective,
            "sampler": rules.sampler,
            "pruner": rules.pruner,
            "limits": rules.limits(),
            "scope": self.scope,
        }

    def specs(self, values: Mapping[str, Any] | None) -> tuple[RunSpec, ...]:
        """The runs of a trial with these values; the default's for ``None``."""
        if values is None:
            return self.starts
        config = METHODS.get(self.method).Config
        return tuple(self.space.apply(spec, config, values) for spec in self.starts)


def check_objective(name: str, taxonomy: Taxonomy) -> None:
    """Raise ``UnknownNameError`` unless ``name`` is a score that has a better end here."""
    of_classes = {field.name for field in fields(ClassScores)}
    known = [n for n, metric in METRICS.items() if metric.better and n not in of_classes]
    sources = ("summed", "direct", "gain")
    bases = ("accuracy", "balanced_accuracy", "macro_auc", "macro_f1")
    levels = [f"{v}_{s}_{b}" for v in taxonomy.levels[:-1] for s in sources for b in bases]
    if name not in (*known, *levels):
        raise UnknownNameError("objective", name, (*known, *levels))
