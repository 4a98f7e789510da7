"""Means and spreads over a grid of seeds and folds that may have holes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.roles import SHUFFLED, Tuning, head_role
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.evaluation.scores import Scores
from mil_bench.evaluation.sums import mean_defined
from mil_bench.exchange.bundles.verification import lowest

NAN = float("nan")
RANKED = Score(PRIMARY)
"""The score that orders boards."""


@dataclass(frozen=True)
class Spread:
    """``n`` cells: their mean, and standard deviations (n - 1) over folds and over seeds.

    ``mean`` averages folds within a seed, then seeds. ``sd_folds`` is over folds of the mean of
    their seeds; ``sd_seeds`` over seeds of the mean of their folds. Only folds (seeds) without
    holes take part in a deviation, so that a hole is never mistaken for spread. ``nan`` when
    fewer than two take part.
    """

    n: int
    mean: float = NAN
    sd_folds: float = NAN
    sd_seeds: float = NAN

    @classmethod
    def of(cls, cells: Mapping[tuple[int, int], float]) -> Spread:
        """Compute from ``(seed, fold)`` -> value; undefined values (``nan``) are holes."""
        # nan is unlike itself: only defined values
        defined = {cell: value for cell, value in cells.items() if value == value}
        if not defined:
            return cls(0)
        seeds = sorted({seed for seed, _ in defined})
        folds = sorted({fold for _, fold in defined})
        # (seeds, folds); nan where there is a hole
        grid = np.array([[defined.get((seed, fold), NAN) for fold in folds] for seed in seeds])
        mean = float(np.mean([mean_defined(row) for row in grid]))
        # A mean over a hole is nan and takes no part in a deviation.
        return cls(len(defined), mean, _sd(grid.mean(0)), _sd(grid.mean(1)))


def _sd(means: NDArray[np.float64]) -> float:
    whole = means[~np.isnan(means)]
    return float(whole.std(ddof=1)) if len(whole) > 1 else NAN


@dataclass(frozen=True)
class BoardId:
    """The properties that runs of one table share. ``kind`` comes first: kinds never mix.

    ``kind`` is ``real``, ``embedded`` or ``simulated``; ``unreadable`` gathers run folders whose
    definition is damaged. ``trained_on`` is the dataset of the models where it is another one, and
    ``source_digest`` identifies its labels and features.
    """

    kind: str
    dataset: str
    encoder: str = ""
    tree: str = ""
    split: str = ""
    tree_digest: str = ""
    split_digest: str = ""
    labels_digest: str = ""
    features_digest: str = ""
    trained_on: str = ""
    source_digest: str = ""

    @property
    def title(self) -> str:
        """``digit-bags, pixels, kfold-5 (embedded)``; with the dataset of the training first."""
        if self.trained_on:
            trained = f"trained on {self.trained_on} ({self.split})"
            return f"{trained}, tested on {self.dataset}, {self.encoder} ({self.kind})"
        words = [word for word in (self.dataset, self.encoder, self.split) if word]
        tree = f", tree {self.tree}" if self.tree not in ("", self.dataset) else ""
        return f"{', '.join(words) or 'files'}{tree} ({self.kind})"


@dataclass(frozen=True)
class BoardRow:
    """One method in one variant. ``asked`` are the cells of the board, done or not.

    ``role`` is ``default`` or ``tuned`` for a searched method and ``shuffled tree`` for a control.
    It is ``multi head`` and its like for a flat method with a hierarchical head. ``tuning`` is the
    search behind a tuned row, whose settings may differ from fold to fold. ``name`` is what a row
    of an ablation is called (``full``, ``no_ia``).
    """

    method: str
    variant: str
    settings: str
    runs: Mapping[SeedFold, RunRecord]
    asked: tuple[SeedFold, ...]
    role: str = ""
    tuning: Tuning | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """``abmil``, ``abmil (tuned)``, ``abmil [gated=false]`` or ``no_ia``."""
        if self.name:
            return self.name
        name = f"{self.method} ({self.role})" if self.role else self.method
        return f"{name} [{self.variant}]" if self.variant else name

    @property
    def verification(self) -> str:
        """The least that is known of any of its finished runs: ``scored``, ``repeated``..."""
        return lowest(record.verification for record in self.done.values())

    @property
    def evidence(self) -> str:
        """How its predictions came about: ``trained``, ``external`` or ``transferred``."""
        specs = (record.spec for record in self.runs.values())
        return next((spec.evidence for spec in specs if spec is not None), "trained")

    @property
    def control(self) -> bool:
        """Whether it is there to be compared with, and does not compete."""
        return self.role == SHUFFLED

    @property
    def headed(self) -> bool:
        """Whether it is a flat method with a hierarchical head."""
        specs = (record.spec for record in self.runs.values())
        return any(spec is not None and head_role(spec) for spec in specs)

    @cached_property
    def has_heads(self) -> bool:
        """Whether it decides an upper level by a separate head."""
        scores = (record.scores for record in self.done.values())
        return any(
            score.source == "direct" and score.level != LEAF
            for of_run in scores
            if of_run is not None
            for score in of_run.values
        )

    @cached_property
    def ranked(self) -> bool:
        """Whether its predictions are probabilities, not decisions alone."""
        return all(p.ranked for p in self.predictions.values())

    @property
    def hierarchical(self) -> bool:
        """Whether it has heads of upper levels, or a hierarchical one that an option gave it."""
        return self.headed or self.has_heads

    @property
    def competes(self) -> bool:
        """Whether it may be on a frontier: complete, and not a control."""
        return self.complete and not self.control

    @cached_property
    def done(self) -> dict[SeedFold, RunRecord]:
        """The finished runs by cell."""
        return {c: r for c in self.asked if (r := self.runs.get(c)) and r.status == "done"}

    @cached_property
    def predictions(self) -> dict[SeedFold, Predictions]:
        """Test predictions of the finished runs by cell; none on the board of a site report."""
        return {cell: record.sets["test"] for cell, record in self.done.items() if record.sets}

    @cached_property
    def tested(self) -> tuple[int, int]:
        """Numbers of distinct slides and of distinct patients (groups) in its test sets."""
        scores = [r.scores for r in self.done.values() if r.scores is not None]
        slides, groups = (
            frozenset[str]().union(*(getattr(s, of) for s in scores)) for of in ("slides", "groups")
        )
        return len(slides), len(groups)

    @property
    def complete(self) -> bool:
        """Whether every asked cell is finished."""
        return len(self.done) == len(self.asked)

    @property
    def coverage(self) -> str:
        """``14 of 15``: finished of asked cells."""
        return f"{len(self.done)} of {len(self.asked)}"

    @property
    def status(self) -> str:
        """``complete``, or what became of the other cells and the first reason."""
        if self.complete:
            return "complete"
        lacking = [c for c in self.asked if c not in self.done]
        counts = Counter(self.status_of(c) for c in lacking)
        states = ", ".join(f"{n} {status}" for status, n in counts.items())
        # The first reason stands for all.
        reasons = [r.reason for c in lacking if (r := self.runs.get(c)) and r.reason]
        why = f": {reasons[0]}" if reasons else ""
        return f"{'incomplete' if self.done else 'no result'} ({states}){why}"

    def status_of(self, cell: SeedFold) -> str:
        """Return the status of one cell, ``missing`` if it was never started."""
        record = self.runs.get(cell)
        return record.status if record else "missing"

    def values(self, score: Score) -> dict[SeedFold, float]:
        """Return a score of every finished cell; empty where the method has no such score."""
        scores = {cell: r.scores.values for cell, r in self.done.items() if r.scores is not None}
        return {cell: values[score] for cell, values in scores.items() if score in values}

    def spread(self, score: Score) -> Spread:
        """Return the mean and the spread of a score over the finished cells."""
        return Spread.of(self.values(score))

    @property
    def rank_key(self) -> tuple[int, float, float]:
        """Complete rows first, by balanced accuracy, then macro AUC; rows without scores last."""
        primary, second = self.spread(RANKED).mean, self.spread(Score("macro_auc")).mean
        # Complete rows, then incomplete ones, then none.
        place = 0 if self.complete else 1 if self.done else 2
        return (place, _last_if_undefined(primary), _last_if_undefined(second))


@dataclass(frozen=True)
class Study:
    """What makes a board an ablation: its rows are variants of one method.

    ``reference`` is the label of the row that all others are compared with, empty if the board
    lacks it. ``varied`` names what changes: components of the method, or ``settings``. ``cells``
    describes every row, by label and column: components are ``yes``, ``no``, or empty where they
    have no meaning. ``scores`` are requested, in this order.
    """

    method: str
    reference: str
    varied: tuple[str, ...]
    cells: Mapping[str, Mapping[str, str]]
    scores: tuple[Score, ...]
    settings: bool = False

    @property
    def title(self) -> str:
        """``Ablation of hmil`` or ``Sensitivity of abmil to lr``."""
        if not self.settings:
            return f"Ablation of {self.method}"
        return f"Sensitivity of {self.method} to {' and '.join(self.varied)}"

    @property
    def places(self) -> tuple[str, ...]:
        """Its folders below that of the split: ``hmil``, or ``abmil`` and ``vary-lr``."""
        return (self.method, *([f"vary-{'-'.join(self.varied)}"] if self.settings else []))


@dataclass(frozen=True)
class SiteEvidence:
    """What the board of a site report has instead of predictions.

    ``drawn`` are the replicates of rows by label, ``counts`` the slides and patients of leaf
    classes; ``None`` where they are suppressed.
    """

    drawn: Mapping[str, Mapping[Score, ScoreReplicates]]
    counts: Mapping[str, tuple[int | None, int | None]]


@dataclass(frozen=True)
class Board:
    """Rows in order of balanced accuracy, and computed notes on how to read them.

    ``twins`` are rows of another board by the level that they were trained for: the same slides
    labelled with the classes of an upper level. A board with a ``study`` is an ablation, with rows
    in the order of its plan. ``protocol`` is the name of the one that it is restricted to.
    ``own_tests`` maps transferred rows to the predictions of the same models for the test slides of
    their training data, where those runs are at hand.
    """

    id: BoardId
    taxonomy: Taxonomy | None
    rows: tuple[BoardRow, ...]
    notes: tuple[Note, ...]
    twins: tuple[tuple[str, BoardRow], ...] = ()
    study: Study | None = None
    protocol: str = ""
    own_tests: Mapping[str, Mapping[SeedFold, Predictions]] = field(default_factory=dict)
    site: SiteEvidence | None = None

    @property
    def title(self) -> str:
        """Title for people."""
        above = self.study.title if self.study else self.protocol
        return f"{above}: {self.id.title}" if above else self.id.title

    @property
    def leaky(self) -> bool:
        """Whether groups are in several sets of the split."""
        return any(note.kind == "leak" for note in self.notes)

    @property
    def rescored(self) -> bool:
        """Whether runs were trained with another tree than the board's."""
        runs = [run for row in self.rows for run in row.done.values()]
        return any(run.trained_tree not in ("", self.id.tree) for run in runs)

    @cached_property
    def scores(self) -> list[Scores]:
        """Scores of every finished run."""
        return [r.scores for row in self.rows for r in row.done.values() if r.scores]

    @property
    def slides(self) -> int:
        """Number of distinct slides tested."""
        return len(frozenset().union(*(s.slides for s in self.scores)))

    @property
    def groups(self) -> int:
        """Number of distinct patients (groups) tested."""
        return len(frozenset().union(*(s.groups for s in self.scores)))

    @property
    def patients_known(self) -> bool:
        """Whether any test slide has a patient (group) other than itself."""
        return any(scores.patients_known for scores in self.scores)

    @cached_property
    def class_keys(self) -> list[tuple[str, str, str]]:
        """``(level, source, class)`` of every class that any row has scores for, in tree order."""
        if self.taxonomy is None:
            return []
        scored = {s[1:] for scores in self.scores for s in scores.values if s.name}
        levels, classes = self.taxonomy.levels, self.taxonomy.classes
        return [
            (level, source, name)
            for level in levels
            for source in ("summed", "direct")
            for name in classes[level]
            if (level, source, name) in scored
        ]


def _last_if_undefined(value: float) -> float:
    return -value if value == value else 1.0  # -value: the highest first; 1.0 is behind every score
