"""How well attention finds the patches of a class: scores over the patches of a slide.

Scores are ROC AUC and average precision of a class's map, for every class of every level, over the
test slides of that class. Positives are the patches known to show the class, negatives all others
of the same slide. Slides are scored separately and then averaged: attention sums to one within a
slide, so its values are not comparable between slides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.ranking import auc_and_precision
from mil_bench.evaluation.sums import mean_defined, ones
from mil_bench.heatmaps.localisation_table import (
    LOCALISATION,
    ClassLocalisation,
    read_localisation,
    write_localisation,
)
from mil_bench.heatmaps.patch_scores import ALL, ScoreKind, ScoreMap, score_maps
from mil_bench.heatmaps.patches import witnesses_of
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.find_run import DataOfRuns
from mil_bench.runs.load_run import LoadedRun, load_run
from mil_bench.runs.stored_predictions import stored_predictions


def localise(run: LoadedRun, by: ScoreKind = "auto") -> list[ClassLocalisation]:
    """Return every class of every level of the run's tree, from the top.

    A level without separate maps uses the map shared by all classes: a method may have attention
    at the leaves only, with branches that are not classes. Raises ``DataError`` when no test slide
    has known patches.
    """
    instance_labels = run.dataset.instance_labels or {}
    stored = stored_predictions(run.directory, run.taxonomy)
    # Labelled test slides only.
    test = [str(slide) for slide in stored["test"].slide_ids if slide in instance_labels]
    if not test:
        raise DataError(
            f"no patches of the test slides of {run.spec.dataset} are labelled; expected an "
            "instances.csv next to the features, or `instances` in the dataset's file."
        )
    tree, labels = run.taxonomy, run.dataset.manifest.labels()
    scores: dict[tuple[str, str], list[_SlideScores]] = {
        (level, name): [] for level in tree.levels for name in tree.classes[level]
    }
    sources: dict[tuple[str, str], str] = {}
    for slide in test:
        maps = score_maps(run.method, run.batch(slide), by)
        for level in tree.levels:
            # The slide's class at this level.
            name = tree.classes[level][tree.ancestor_index(level)[tree.index(labels[slide])]]
            score_map = _map_of(maps, level, name)
            if score_map is None:  # neither a map of the class nor a shared one
                continue
            sources[level, name] = score_map.source
            marked = witnesses_of(instance_labels[slide], tree, level, name)
            scores[level, name] += _scored(marked, score_map.values)
    return [
        _mean(*place, sources.get(place, "none"), of_class) for place, of_class in scores.items()
    ]


@dataclass(frozen=True)
class _SlideScores:
    """One slide of the class."""

    witnesses: int
    prevalence: float
    auc: float
    ap: float


def _scored(marked: NDArray[np.bool_], values: NDArray[np.float64]) -> Iterator[_SlideScores]:
    """The scores of a slide; nothing where it has no witnesses, or nothing else."""
    if marked.any() and not marked.all():  # with one kind of patches there is nothing to rank
        prevalence = float(marked.mean())
        auc, ap = auc_and_precision(marked, values, ones(len(values)))
        yield _SlideScores(int(marked.sum()), prevalence, float(auc[0]), float(ap[0]))


def _map_of(maps: Sequence[ScoreMap], level: str, name: str) -> ScoreMap | None:
    """The class's map, or the one for all classes."""
    own = [m for m in maps if (m.level, m.name) == (level, name)]
    shared = [m for m in maps if m.name == ALL]  # attention of methods without classes
    return next(iter(own or shared), None)


def _mean(level: str, name: str, source: str, slides: Sequence[_SlideScores]) -> ClassLocalisation:
    return ClassLocalisation(
        level,
        name,
        source,
        len(slides),
        mean_defined([s.witnesses for s in slides]),
        mean_defined([s.prevalence for s in slides]),
        mean_defined([s.auc for s in slides]),
        mean_defined([s.ap for s in slides]),
    )


# The localisation of every run of a folder, computed once and stored in the run folder.


@dataclass
class LocalisedRuns:
    """Run folders with their rows; ``stored`` of them were scored before.

    ``unknown`` are keys of runs on data without known patches, ``without_model`` those of
    predictions made elsewhere or transferred; ``refused`` maps a key to the reason.
    """

    rows: dict[RunDirectory, list[ClassLocalisation]] = field(default_factory=dict)
    stored: int = 0
    unknown: list[str] = field(default_factory=list)
    without_model: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def localise_runs(
    places: Sequence[RunDirectory],
    data: DataOfRuns,
    device: torch.device,
    by: ScoreKind = "auto",
    again: bool = False,
) -> LocalisedRuns:
    """Compute and store what is not there yet; a refused run stops no other.

    ``again`` recomputes all, and so does another ``by`` than ``auto``. Incomplete runs are left
    out.
    """
    result = LocalisedRuns()
    keep = not again and by == "auto"  # stored rows are of `auto`
    for place in places:
        if place.status() != "done":
            continue
        try:  # one refused run stops no other
            if keep and (place.path / LOCALISATION).is_file():
                result.rows[place] = read_localisation(place.path) or []
                result.stored += 1
                continue
            spec = place.read_definition()
            if not isinstance(spec, RunSpec):
                result.without_model.append(place.path.name)
                continue
            dataset = data.of(spec)
            if dataset.instance_labels is None:
                result.unknown.append(place.path.name)
                continue
            run = load_run(place, dataset, device)
            # Stored at once: an interrupted command continues.
            result.rows[place] = localise(run, by)
            write_localisation(place.path, result.rows[place])
        except MilBenchError as error:
            result.refused[place.path.name] = str(error)
    return result
