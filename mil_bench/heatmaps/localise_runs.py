"""The localisation of every run of a folder, computed once and kept beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from mil_bench.errors import MilBenchError
from mil_bench.heatmaps.find import DataOfRuns
from mil_bench.heatmaps.localisation import localise
from mil_bench.heatmaps.localisation_csv import (
    LOCALISATION,
    ClassLocalisation,
    read_localisation,
    write_localisation,
)
from mil_bench.heatmaps.relevance import By
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.restore import restore


@dataclass
class Localised:
    """Run folders with their rows; ``kept`` of them were there before.

    ``unknown`` are keys of runs on data without known patches; ``refused`` says why of a key.
    """

    rows: dict[RunDirectory, list[ClassLocalisation]] = field(default_factory=dict)
    kept: int = 0
    unknown: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def localise_runs(
    places: Sequence[RunDirectory],
    data: DataOfRuns,
    device: torch.device,
    by: By = "auto",
    again: bool = False,
) -> Localised:
    """Compute and store what is not there yet; a refused run stops no other.

    What is there is computed anew with ``again``, and for scores that are not the ``auto`` ones.
    Runs that are not done are left out.
    """
    made = Localised()
    keep = not again and by == "auto"
    for place in places:
        if place.status() != "done":
            continue
        try:
            if keep and (place.path / LOCALISATION).is_file():
                made.rows[place] = read_localisation(place.path) or []
                made.kept += 1
                continue
            dataset = data.of(place.read_spec())
            if dataset.instance_labels is None:
                made.unknown.append(place.path.name)
                continue
            run = restore(place, dataset, device)
            made.rows[place] = localise(run, by)
            write_localisation(place.path, made.rows[place])
        except MilBenchError as error:
            made.refused[place.path.name] = str(error)
    return made
