"""A :class:`Split` of a dataset from a split file of any known form."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from mil_bench.bags.formats.names import FEATURE_SUFFIXES, normalise
from mil_bench.bags.labels.tables import read_table
from mil_bench.bags.splits.split_formats import (
    HMIL_NAME,
    Listing,
    read_hmil,
    read_set_columns,
    read_slide_rows,
    read_stamp,
)
from mil_bench.base.errors import SplitError, counted, nearest
from mil_bench.base.finding import Note
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
    absent = dataset.left_out  # listed slides of the dataset that it has left out
    skipped = absent & {slide for slides in slides_of.values() for slide in slides}
    notes: list[Note] = []
    if skipped:
        text = (
            f"{len(skipped)} listed slides are excluded from the dataset (no features, or dropped)"
        )
        notes.append(Note("data", text))
    if any("train" not in fold for fold in listing.folds):
        notes.append(
            Note("split", "the file has no train set, so all other slides are used for training")
        )
    folds = []
    for k, fold in enumerate(listing.folds):
        sets = {
            # left-out slides are skipped, not unknown.
            set_name: [s for name in ids for s in slides_of[name] if s not in absent]
            for set_name, ids in fold.items()
        }
        _check_once(sets, f"{path}, fold {k}")
        folds.append(_fold(sets, dataset.manifest.slide_ids))
    used = {slide for fold in folds for _, ids in fold.sets() for slide in ids}
    unlisted = set(dataset.manifest.slide_ids) - used
    if unlisted:
        notes.append(
            Note("split", f"{counted(len(unlisted), 'slide is', 'slides are')} in no fold")
        )
    return Split(_name(listing.origin, path), "imported", tuple(folds), tuple(notes))


def _slides_of(listing: Listing, dataset: Dataset, where: str) -> dict[str, list[str]]:
    """Id as listed -> the dataset's slides, those left out included."""
    listed = [name for fold in listing.folds for ids in fold.values() for name in ids]
    if listing.patients:
        return _slides_of_patients(listed, dataset, where)
    # Those left out are known names.
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
            f"{where} lists {counted(len(unknown), 'patient')} unknown to the dataset: "
            f"{', '.join(unknown[:10])}; add a patient_id column with these ids to the labels."
        )
    return slides


def _check_once(sets: Mapping[str, list[str]], where: str) -> None:
    set_of: dict[str, str] = {}
    for name, slides in sets.items():  # ids of one slide in two spellings count too
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
        return Fold(tuple(sets["train"]), val, test)  # a file with train: unlisted slides stay out
    held_out = {*val, *test}
    return Fold(tuple(s for s in slide_ids if s not in held_out), val, test)


def _name(origin: str, path: Path) -> str:
    """``clam-task_1``; files that always have the same name are named after their folder."""
    path = path.resolve()  # a name relative to "." has no folder
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
    """Return the slide of every listed id, by the same text or the same normalised name.

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
        if len(fits) == 1:  # none, or several: never guessed
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
        f"{where} lists {counted(len(unknown), 'slide')} unknown to the dataset or fitting "
        f"several of its slides: {listed}{hint}; correct the ids or remove them."
    )


# Split files and folders of any tool: find out what wrote them, and read them.

# One file per fold, in the order of preference; the group is the number of the fold.
NUMBERED = {
    "CLAM splits_k.csv": re.compile(r"splits_(\d+)\.csv"),
    "CLAM splits_k_bool.csv": re.compile(r"splits_(\d+)_bool\.csv"),
    "TransMIL fold{k}.csv": re.compile(r"fold_?(\d+)\.csv"),
    "MIL_BASELINE _{k}fold.csv": re.compile(r".*_(\d+)fold\.csv"),
}
ALL_FOLDS = ("k=all.tsv", "splits.csv", "splits.json")  # Patho-Bench, torchmil, STAMP
FORMS = (
    "CLAM splits_k.csv, Patho-Bench k=all.tsv, HMIL {set}_splits_{k}.pkl, TransMIL, MIL_BASELINE, "
    "torchmil, STAMP splits.json, or a CSV with the columns slide_id,split or slide_id,fold_0,..."
)


def read_listing(path: Path) -> Listing:
    """Read a split file, or a folder with one file per fold. Raises ``SplitError``."""
    return _read_folder(path) if path.is_dir() else _read_file(path)


def _read_folder(folder: Path) -> Listing:
    pickles = _pickles(folder)
    if len(pickles) > 1:
        raise SplitError(
            f"{folder} holds HMIL splits of several datasets ({', '.join(sorted(pickles))}); put "
            "those of one dataset into a separate folder."
        )
    for files in pickles.values():
        _check_numbers(folder, list(files))  # gaps shift fold numbers
        return read_hmil(files)
    for form, name in NUMBERED.items():
        # The first form with files wins.
        numbered = [(int(m[1]), p) for p in folder.iterdir() if (m := name.fullmatch(p.name))]
        if numbered:
            return _join(folder, form, sorted(numbered))
    candidates = [folder / name for name in ALL_FOLDS if (folder / name).is_file()]
    if len(candidates) == 1:
        return _read_file(candidates[0])
    tables = [p for p in folder.glob("*.csv") if not p.name.startswith(".")]
    if len(tables) == 1 and not candidates:
        # Read from here, the split would have the folder's name and another run key.
        raise SplitError(f"the folder {folder} holds one split file; pass it: --split {tables[0]}.")
    names = [p.name for p in candidates] or sorted(p.name for p in folder.iterdir())[:5]
    raise SplitError(f"the folder {folder} holds {names or 'nothing'}; expected one of {FORMS}.")


def _read_file(path: Path) -> Listing:
    pickled = HMIL_NAME.fullmatch(path.name)
    if pickled:
        siblings = _pickles(path.parent)[pickled["prefix"] or ""]  # the other sets of this fold
        return read_hmil({0: siblings[int(pickled["fold"])]})
    if path.suffix == ".json":
        return read_stamp(path)
    table = read_table(path).rename(columns=str.lower)
    listing = read_set_columns(table) or read_slide_rows(table, str(path))
    if listing is None:
        raise SplitError(f"{path} has the columns {list(table.columns)}; expected {FORMS}.")
    return listing


def _pickles(folder: Path) -> dict[str, dict[int, dict[str, Path]]]:
    """Prefix -> fold -> set -> file."""
    files: dict[str, dict[int, dict[str, Path]]] = defaultdict(lambda: defaultdict(dict))
    for path in folder.iterdir():
        match = HMIL_NAME.fullmatch(path.name)
        if match:
            files[match["prefix"] or ""][int(match["fold"])][match["set"]] = path
    return files


def _join(folder: Path, form: str, numbered: list[tuple[int, Path]]) -> Listing:
    _check_numbers(folder, [number for number, _ in numbered])
    listings = [_read_file(path) for _, path in numbered]
    if any(len(listing.folds) != 1 for listing in listings):
        raise SplitError(f"a file of {folder} holds several folds; expected one each ({form}).")
    folds = tuple(fold for listing in listings for fold in listing.folds)
    return Listing(listings[0].origin, folds)


def _check_numbers(folder: Path, numbers: list[int]) -> None:
    """Refuse a gap, which would shift the numbers of the folds behind it."""
    first = min(numbers)
    # Folds count from 0 or 1.
    if first > 1 or sorted(numbers) != list(range(first, first + len(numbers))):
        raise SplitError(
            f"{folder} holds the folds {sorted(numbers)}; expected each number once, without gaps, "
            "from 0 or 1. Add the missing files, or pass the path of one file."
        )
