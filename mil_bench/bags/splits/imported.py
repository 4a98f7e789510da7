"""A :class:`Split` of a dataset from a split file of any known form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mil_bench.bags.formats.names import FEATURE_SUFFIXES, normalise
from mil_bench.bags.splits.split_files import read_listing
from mil_bench.bags.splits.split_formats import Listing
from mil_bench.base.errors import SplitError, nearest
from mil_bench.base.notes import Note
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.split import Fold, Split


def import_split(path: Path, dataset: Dataset) -> Split:
    """Read ``path`` and match it with ``dataset``.

    Slides in ``dataset.left_out`` are skipped; other unknown slides are a ``SplitError``, as is a
    slide in two sets of a fold. Where the file has no train set (HMIL's CCC), the rest of the
    dataset trains. A fold without validation slides is returned so.
    """
    listing = read_listing(path)
    slides_of = _slides_of(listing, dataset, str(path))
    absent = dataset.left_out
    skipped = absent & {slide for slides in slides_of.values() for slide in slides}
    notes: list[Note] = []
    if skipped:
        text = f"{len(skipped)} listed slides are left out of the dataset (no features, or dropped)"
        notes.append(Note("data", text))
    if any("train" not in fold for fold in listing.folds):
        notes.append(Note("split", "the file has no train set, so the rest of the dataset trains"))
    folds = []
    for k, fold in enumerate(listing.folds):
        sets = {
            set_name: [s for name in ids for s in slides_of[name] if s not in absent]
            for set_name, ids in fold.items()
        }
        _check_once(sets, f"{path}, fold {k}")
        folds.append(_fold(sets, dataset.manifest.slide_ids))
    used = {slide for fold in folds for _, ids in fold.sets() for slide in ids}
    unlisted = set(dataset.manifest.slide_ids) - used
    if unlisted:
        notes.append(Note("split", f"{len(unlisted)} slides of the dataset are in no fold"))
    return Split(_name(listing.origin, path), "imported", tuple(folds), tuple(notes))


def _slides_of(listing: Listing, dataset: Dataset, where: str) -> dict[str, list[str]]:
    """Id as listed -> the dataset's slides, those left out included."""
    listed = [name for fold in listing.folds for ids in fold.values() for name in ids]
    if listing.patients:
        return _slides_of_patients(listed, dataset, where)
    slides = [*dataset.manifest.slide_ids, *sorted(dataset.left_out)]
    return {name: [slide] for name, slide in match(listed, slides, where).items()}


def _slides_of_patients(
    patients: Iterable[str], dataset: Dataset, where: str
) -> dict[str, list[str]]:
    slides: dict[str, list[str]] = {}
    table = dataset.manifest.table
    for patient, slide in zip(table["patient_id"], table["slide_id"], strict=True):
        slides.setdefault(patient, []).append(slide)
    unknown = [p for p in dict.fromkeys(patients) if p not in slides]
    if unknown:
        raise SplitError(
            f"{where} lists {len(unknown)} patients that are not in the dataset: "
            f"{', '.join(unknown[:10])}; add a patient_id column with these ids to the labels."
        )
    return slides


def _check_once(sets: Mapping[str, list[str]], where: str) -> None:
    set_of: dict[str, str] = {}
    for name, slides in sets.items():
        for slide in slides:
            if slide in set_of:
                raise SplitError(
                    f"{where}: slide {slide!r} is in {set_of[slide]} and again in {name}; "
                    "keep one of the two."
                )
            set_of[slide] = name


def _fold(sets: Mapping[str, list[str]], slide_ids: list[str]) -> Fold:
    val, test = tuple(sets.get("val", ())), tuple(sets.get("test", ()))
    if "train" in sets:
        return Fold(tuple(sets["train"]), val, test)
    held_out = {*val, *test}
    return Fold(tuple(s for s in slide_ids if s not in held_out), val, test)


def _name(origin: str, path: Path) -> str:
    """``clam-task_1``; files that always have the same name are named after their folder."""
    path = path.resolve()
    generic = re.fullmatch(r"(splits?|k=all|.*splits_\d+|fold_?\d+)(_bool)?", _stem(path))
    stem = f"{path.parent.name}-{_stem(path)}" if generic and path.is_file() else _stem(path)
    return f"{origin}-{re.sub(r'[^A-Za-z0-9._=-]+', '_', stem)}"


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.name.split(".")[0]


# Match the ids of a split file with the slides of a dataset.


def bare_name(slide_id: str) -> str:
    """Return the slide name without folder, suffixes, ``_feat`` and ``.0``."""
    name = re.split(r"[\\/]", slide_id)[-1]
    suffix = next((s for s in FEATURE_SUFFIXES if name.lower().endswith(s)), "")
    name = normalise(name[: len(name) - len(suffix)])
    # pandas writes a ragged column of whole numbers as floats.
    return name[:-2] if re.fullmatch(r"\d+\.0", name) else name


def match(listed: Iterable[str], slide_ids: Iterable[str], where: str) -> dict[str, str]:
    """Return id as listed -> slide: the same text, else the same normalised name.

    Never by prefix or substring (``BRACS_74`` is not ``BRACS_747``). Raises ``SplitError`` listing
    the ids that match no slide, or more than one.
    """
    exact = set(slide_ids)
    by_name: dict[str, list[str]] = {}
    for slide in exact:
        by_name.setdefault(bare_name(slide), []).append(slide)
    matches: dict[str, str] = {}
    unknown: list[str] = []
    for name in dict.fromkeys(listed):
        fits = [name] if name in exact else by_name.get(bare_name(name), [])
        if len(fits) == 1:
            matches[name] = fits[0]
        else:
            unknown.append(name)
    if unknown:
        raise SplitError(_message(unknown, exact, where))
    return matches


def _message(unknown: list[str], slides: set[str], where: str) -> str:
    listed = ", ".join(unknown[:10]) + (", ..." if len(unknown) > 10 else "")
    near = nearest(unknown[0], sorted(slides), 5)
    hint = f" (nearest to the first: {', '.join(near)})" if near else ""
    return (
        f"{where} lists {len(unknown)} slides that are not in the dataset or fit several of its "
        f"slides: {listed}{hint}; correct the ids or remove them from the split."
    )
