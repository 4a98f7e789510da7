"""Which set of a run a slide was in: trained on, used to choose the model, or tested."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mil_bench.bags.formats.names import match_ids
from mil_bench.base.csv_safety import unescape
from mil_bench.contract.spec import RunSpec
from mil_bench.runs.directory import RunDirectory

SetOfSlide = Literal["train", "val", "test"]


def sets_of(directory: RunDirectory, slides: Iterable[str]) -> dict[str, SetOfSlide]:
    """Map slides of the split of a run to their sets; file extensions are ignored.

    The split is the one stored beside the runs. Without that file, training slides are unknown.
    """
    known = _known(directory)
    return {slide: known[name] for slide, name in match_ids(list(slides), known).items()}


def predicted_sets(directory: RunDirectory) -> dict[str, list[str]]:
    """Return, by set, the slides of the stored predictions of a complete run, in their order."""
    sets: dict[str, list[str]] = {}
    for slide, name in _of_column(directory.predictions, "set").items():
        sets.setdefault(name, []).append(slide)
    return sets


def _known(directory: RunDirectory) -> Mapping[str, SetOfSlide]:
    spec = directory.read_spec()
    split = _split_file(directory, spec)
    if split.is_file():
        return _of_column(split, f"fold_{spec.fold}")
    return _of_column(directory.predictions, "set")  # predictions lack the training slides


def _split_file(directory: RunDirectory, spec: RunSpec) -> Path:
    return directory.path.parents[1] / "splits" / f"{spec.split}-{spec.split_digest}.csv"


@lru_cache(maxsize=64)  # read once for many slides
def _of_column(path: Path, column: str) -> Mapping[str, SetOfSlide]:
    """Slide -> set, of a column of a stored split or of predictions."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        return {unescape(row["slide_id"]): row[column] for row in rows if row[column]}  # type: ignore[misc]


_PREFERRED = ("test", "val", "", "train")


def run_for_slide(
    directories: Sequence[RunDirectory], slide: str
) -> tuple[RunDirectory, SetOfSlide | None]:
    """Return the run whose model says most about a slide, and the slide's set there.

    Runs that tested the slide come first, then those that chose their model by it, then those that
    never saw it. A run that was trained on it is the last. The set of a slide outside the split is
    ``None``.
    """
    sets = [sets_of(directory, [slide]).get(slide) for directory in directories]
    # "": outside the split.
    best = min(range(len(sets)), key=lambda i: _PREFERRED.index(sets[i] or ""))
    return directories[best], sets[best]
