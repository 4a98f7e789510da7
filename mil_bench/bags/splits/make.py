"""From the value of ``--split`` to a :class:`Split`, and the defects of that split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from mil_bench.bags.splits.draws import Cohort, hold_out, kfold, monte_carlo
from mil_bench.bags.splits.imported import import_split
from mil_bench.base.errors import SplitError, UnknownNameError, counted
from mil_bench.base.finding import Note
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Fold, Split

NAMES = ("official", "kfold-5", "kfold-10", "mccv-10")
_MADE = re.compile(r"(?P<kind>kfold|mccv)-(?P<number>\d+)(-seed(?P<seed>\d+))?")


def make_split(text: str, dataset: Dataset, seed: int = 0) -> Split:
    """Make or read the split that ``text`` names, for slides of ``dataset`` with features.

    ``official``             the dataset's own split
    ``kfold-K``              stratified, groups kept together, every slide tested once
    ``mccv-K``               ``K`` random 80/10/10 draws, stratified, groups kept together
    a path                   a split file or folder of any tool that ``read_listing`` reads

    ``kfold-5-seed3`` fixes the seed by name. An imported fold without validation slides gets one
    eighth of its train slides, groups kept together. Slides of ``dataset.not_for_training`` stay
    out of train. ``notes`` state defects of the split; leaks are noted here and refused by
    :meth:`Split.check`. Raises ``SplitError`` or ``UnknownNameError``.
    """
    words = _MADE.fullmatch(text)
    if words:
        split = _make(words["kind"], int(words["number"]), int(words["seed"] or seed), dataset)
    else:
        path = None if text == "official" else _existing(text)  # not a path: the dataset's own
        split = _official(dataset) if path is None else import_split(path, dataset)
        # Absent slides leave before validation is drawn, so that it has its share of the others.
        split = _with_val(_without_absent(split, dataset), dataset, seed)
    split = _without_noisy(split, dataset)
    # Leaks are notes here; a run refuses them.
    split.check(dataset.manifest.groups(), allow_leaks=True)
    return replace(split, notes=(*split.notes, *notes_on(split, dataset.manifest)))


def is_made(name: str) -> bool:
    """Return whether a split of that name is made by its name, or is the dataset's official one."""
    return name == "official" or _MADE.fullmatch(name) is not None


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
            # By fold: other folds do not change the draw.
            train, val = hold_out(cohort, np.random.default_rng([seed, k]))
            fold = Fold(train, val, fold.test)
        folds.append(fold)
    incomplete = any(not fold.val for fold in split.folds)
    text = "no validation set is given, so one eighth of train was drawn, groups kept together"
    note = (Note("split", text),)
    # A note only where a set was drawn.
    return replace(split, folds=tuple(folds), notes=split.notes + note * incomplete)


def _without_noisy(split: Split, dataset: Dataset) -> Split:
    """Leave slides with noisy labels out of train; evaluation keeps them."""
    noisy = dataset.not_for_training
    folds = tuple(
        replace(fold, train=tuple(s for s in fold.train if s not in noisy)) for fold in split.folds
    )
    left_out = noisy & {s for fold in split.folds for s in fold.train}
    note = (
        Note("data", f"training excludes {counted(len(left_out), 'slide')} with doubtful labels"),
    )
    return replace(split, folds=folds, notes=split.notes + note * bool(left_out))


# Defects of a split that its scores depend on: shared groups, overlapping test sets.

CONSEQUENCES = {
    ("test", "train"): "test scores will be too high",
    ("val", "train"): "the checkpoint is chosen on training patients",
    ("test", "val"): "the checkpoint is chosen on test patients",
}


def leak_share(fold: Fold, groups: Mapping[str, str], of: str = "test", to: str = "train") -> float:
    """Return the share of slides of set ``of`` whose group has a slide in set ``to``."""
    sets = dict(fold.sets())
    groups_in_to = {groups[slide] for slide in sets[to]}
    return (
        sum(groups[slide] in groups_in_to for slide in sets[of]) / len(sets[of])
        if sets[of]
        else 0.0
    )


def notes_on(split: Split, manifest: Manifest) -> tuple[Note, ...]:
    """Return notes on leaks, on overlap of test sets and on classes absent from train."""
    return (*_leaks(split, manifest), *_overlap(split), *_absent(split, manifest))


def _leaks(split: Split, manifest: Manifest) -> list[Note]:
    groups, word = manifest.groups(), _group_word(manifest)
    notes = []
    for (of, to), consequence in CONSEQUENCES.items():
        shares = [leak_share(fold, groups, of, to) for fold in split.folds]
        if any(shares):
            text = (
                f"leak: {_span(shares)} % of the {of} slides share a {word} with {to}"
                f"{_by_fold(shares)}; {consequence}"
            )
            notes.append(Note("leak", text))
    return notes


def _overlap(split: Split) -> list[Note]:
    folds = len(split)
    times = Counter(slide for fold in split.folds for slide in fold.test)
    repeated = sum(n > 1 for n in times.values())
    if not repeated:
        return []
    if all(n == folds for n in times.values()):  # one test set for all
        text = f"all {folds} folds have the same test set, so they differ in training only"
    else:
        text = (
            f"{folds} overlapping Monte-Carlo draws, not a {folds}-fold partition: {len(times)} "
            f"slides are tested, {repeated} of them more than once, so fold scores are not "
            "independent"
        )
    return [Note("split", text)]


def _absent(split: Split, manifest: Manifest) -> list[Note]:
    labels = manifest.labels()
    folds_without: dict[str, list[int]] = {}
    for k, fold in enumerate(split.folds):
        for label in sorted(set(labels.values()) - {labels[slide] for slide in fold.train}):
            folds_without.setdefault(label, []).append(k)
    return [
        Note("split", f"class {label} has no train slide in fold {', '.join(map(str, folds))}")
        for label, folds in folds_without.items()
    ]


def _span(shares: list[float]) -> str:
    low, high = (f"{100 * end(shares):.0f}" for end in (min, max))
    return low if low == high else f"{low}-{high}"


def _by_fold(shares: list[float]) -> str:
    if len(shares) == 1:
        return ""
    by_fold = " ".join(f"{share:.2f}".removeprefix("0") for share in shares)
    return f" (mean {100 * fmean(shares):.0f} %; by fold {by_fold})"


def _group_word(manifest: Manifest) -> str:
    by_patient = (manifest.table["group_id"] == manifest.table["patient_id"]).all()
    return "patient" if by_patient else "group"
