"""Defects of a split that its scores depend on: shared groups, overlapping test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from statistics import fmean

from mil_bench.base.notes import Note
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Fold, Split

CONSEQUENCES = {
    ("test", "train"): "test scores will be too high",
    ("val", "train"): "the checkpoint is chosen on cases it has seen",
    ("test", "val"): "the checkpoint is chosen on cases of the test set",
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


def is_leaky(split: Split, groups: Mapping[str, str]) -> bool:
    """Return whether any group is in two sets of a fold, which ``Split.check`` refuses."""
    return any(leak_share(fold, groups, *pair) > 0 for fold in split.folds for pair in CONSEQUENCES)


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
    if all(n == folds for n in times.values()):
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
