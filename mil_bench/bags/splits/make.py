"""From what a user types after ``--split`` to a :class:`Split`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mil_bench.bags.splits.draws import Cohort, hold_out, kfold, monte_carlo
from mil_bench.bags.splits.imported import import_split
from mil_bench.bags.splits.leaks import notes_on
from mil_bench.base.errors import SplitError, UnknownNameError
from mil_bench.base.notes import Note
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.split import Fold, Split

NAMES = ("official", "kfold-5", "kfold-10", "mccv-10")
_MADE = re.compile(r"(?P<kind>kfold|mccv)-(?P<number>\d+)(-seed(?P<seed>\d+))?")


def make_split(text: str, dataset: Dataset, seed: int = 0) -> Split:
    """Make or read the split that ``text`` names, for slides of ``dataset`` with features.

    ``official``             the dataset's own split
    ``kfold-K``              stratified, groups kept together, every slide tested once
    ``mccv-K``               ``K`` random 80/10/10 draws, stratified, groups kept together
    a path                   a split file or folder of another tool, see ``split_files``

    ``kfold-5-seed3`` fixes the seed by name. An imported fold without validation slides gets one
    eighth of its train slides, groups kept together. Slides of ``dataset.not_for_training`` stay
    out of train. ``notes`` state defects of the split; leaks are noted here and refused by
    :meth:`Split.check`. Raises ``SplitError`` or ``UnknownNameError``.
    """
    words = _MADE.fullmatch(text)
    if words:
        split = _make(words["kind"], int(words["number"]), int(words["seed"] or seed), dataset)
    else:
        path = None if text == "official" else _existing(text)
        split = _official(dataset) if path is None else import_split(path, dataset)
        split = _with_val(_without_absent(split, dataset), dataset, seed)
    split = _without_noisy(split, dataset)
    split.check(dataset.manifest.groups(), allow_leaks=True)
    return replace(split, notes=(*split.notes, *notes_on(split, dataset.manifest)))


def _official(dataset: Dataset) -> Split:
    if dataset.official is None:
        raise SplitError(
            f"dataset {dataset.name!r} has no official split; use kfold-5, mccv-10 or the path of "
            "a split file."
        )
    return dataset.official


def _make(kind: str, number: int, seed: int, dataset: Dataset) -> Split:
    cohort = Cohort.of(dataset.manifest, set(dataset.manifest.slide_ids) - dataset.left_out)
    # Splits of different seeds are different tests and must not share a row of a board.
    name = f"{kind}-{number}" + (f"-seed{seed}" if seed else "")
    if kind == "kfold":
        return Split(name, "kfold", kfold(cohort, number, seed))
    return Split(name, "monte-carlo", monte_carlo(cohort, number, seed))


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists():
        return path
    if path.suffix or len(path.parts) > 1:
        raise SplitError(f"split file {text} does not exist; check the path.")
    raise UnknownNameError("split", text, NAMES, "The path of a split file or folder also works.")


def _without_absent(split: Split, dataset: Dataset) -> Split:
    absent = dataset.left_out
    folds = (
        Fold(*(tuple(s for s in ids if s not in absent) for _, ids in fold.sets()))
        for fold in split.folds
    )
    return replace(split, folds=tuple(folds))


def _with_val(split: Split, dataset: Dataset, seed: int) -> Split:
    """Draw a validation set from train in every fold that has none."""
    folds = []
    for k, fold in enumerate(split.folds):
        if fold.train and not fold.val:
            cohort = Cohort.of(dataset.manifest, fold.train)
            train, val = hold_out(cohort, np.random.default_rng([seed, k]))
            fold = Fold(train, val, fold.test)
        folds.append(fold)
    incomplete = any(not fold.val for fold in split.folds)
    text = "no validation set is given, so one eighth of train was drawn, groups kept together"
    note = (Note("split", text),)
    return replace(split, folds=tuple(folds), notes=split.notes + note * incomplete)


def _without_noisy(split: Split, dataset: Dataset) -> Split:
    """Leave slides with noisy labels out of train; evaluation keeps them."""
    noisy = dataset.not_for_training
    folds = tuple(
        replace(fold, train=tuple(s for s in fold.train if s not in noisy)) for fold in split.folds
    )
    left_out = noisy & {s for fold in split.folds for s in fold.train}
    note = (Note("data", f"{len(left_out)} slides with doubtful labels are left out of train"),)
    return replace(split, folds=folds, notes=split.notes + note * bool(left_out))
