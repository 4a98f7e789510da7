"""Predictions made elsewhere: files of one model joined, with labels and patients of a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.bags.splits.imported import bare_name, match
from mil_bench.base.errors import DataError, UsageError, counted, listed
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.evaluation.foreign.table import ForeignTable, read_foreign
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.exchange.tables.reference import Reference

_NUMBER = re.compile(
    r"(?:^|[-_. ]+)(?P<what>fold|splits?|seed)s?[-_= ]?(?P<number>\d{1,6})(?!\d)", re.I
)
_BEHIND = re.compile(r"[-_. ]+(?P<number>\d{1,6})(?P<what>fold)(?![a-z])", re.I)  # MIL_BASELINE
_SUFFIX = re.compile(r"\.(csv|tsv|txt|xlsx)(\.gz)?$", re.I)
_SHOWN = 5


@dataclass(frozen=True)
class ForeignModel:
    """All predictions of one model: by set, then by ``(seed, fold)``; ``notes`` on the reading.

    ``numbered`` says that its files or their names state the fold.
    """

    name: str
    files: Mapping[SeedFold, Path]
    tree: Taxonomy
    sets: Mapping[str, Mapping[SeedFold, Predictions]]
    notes: tuple[str, ...]
    numbered: bool = False

    @property
    def ranked(self) -> bool:
        """Whether it has probabilities, not decisions alone."""
        return all(p.ranked for runs in self.sets.values() for p in runs.values())

    def same_as(self, other: ForeignModel) -> bool:
        """Return whether both hold the same numbers for the same slides of the same sets."""
        mine, theirs = (
            {(name, cell): _rows(p) for name, runs in m.sets.items() for cell, p in runs.items()}
            for m in (self, other)
        )
        return mine == theirs


def read_models(
    paths: Sequence[Path], reference: Reference | None = None, *, logits: bool = False
) -> list[ForeignModel]:
    """Read files of one or several models; those whose names differ by fold or seed are of one.

    Without a tree in ``reference`` all files must have the same classes. What a file lacks (labels,
    patients) comes from the dataset, else from the other files. Raises ``DataError`` naming files,
    lines and slides.
    """
    reference = reference or Reference()
    _check_paths(paths)
    groups = models_of(paths)
    tables = {path: read_foreign(path, reference.tree, id_column=reference.id_column,
                                 logits=logits) for path in paths}  # fmt: skip
    # The classes of all files must be known before any table is under one tree.
    if reference.tree is None:
        tables = _under_one_tree(tables, logits)
    tables = _with_slides_of(reference, tables)
    if reference.labels is not None:
        for table in tables.values():
            _check_agreement(table, reference.labels)
    # After all are read: a file may have what another one lacks.
    completed = _completed(reference, tables.values())
    return [_model(name, members, tables, completed) for name, members in groups.items()]


def _check_paths(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; pass its files.")
    resolved = [path.resolve() for path in paths]
    twice = [path for path, place in zip(paths, resolved, strict=True) if resolved.count(place) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice; name every file once.")


# Which files belong to one model, by their names.


@dataclass(frozen=True)
class Member:
    """One file of a model, with the fold and the seed that its name says."""

    path: Path
    fold: int | None = None
    seed: int | None = None


def models_of(paths: Sequence[Path]) -> dict[str, list[Member]]:
    """Return the files of every model by its name: ``clam_fold0.csv``, ``clam_fold1.csv`` are one.

    The number may also be that of the folder (``split-0/patient-preds.csv``). A name that is only a
    number is replaced by that of the folder.
    """
    groups: dict[tuple[Path, str], list[Member]] = {}
    for path in paths:
        stem, numbers = _without_numbers(_SUFFIX.sub("", path.name))
        folder = path.resolve().parent
        rest, of_folder = _without_numbers(folder.name)
        # The folder counts only if it is nothing but a number.
        if not numbers and of_folder and not rest:
            folder, numbers = folder.parent, of_folder
        member = Member(path, numbers.get("fold"), numbers.get("seed"))
        groups.setdefault((folder, stem), []).append(member)
    stems = [stem for _, stem in groups]
    return {
        _name(folder, stem, stems.count(stem) > 1): members
        for (folder, stem), members in groups.items()
    }


def _name(folder: Path, stem: str, shared: bool) -> str:
    if not stem:
        return folder.name or "predictions"
    return f"{folder.name}/{stem}" if shared else stem


def _without_numbers(name: str) -> tuple[str, dict[str, int]]:
    """A name without fold and seed, and these."""
    numbers: dict[str, int] = {}
    for pattern in (_NUMBER, _BEHIND):
        for found in pattern.finditer(name):
            what = "seed" if found["what"].lower() == "seed" else "fold"
            numbers.setdefault(what, int(found["number"]))
        name = pattern.sub("", name)
    return name.strip("-_. "), numbers


# One tree, one way to write a slide, and what files lack.


def _under_one_tree(tables: dict[Path, ForeignTable], logits: bool) -> dict[Path, ForeignTable]:
    """All tables under the tree of the one with most classes, which must have those of all."""
    # A fold may lack a class.
    widest = max(tables.values(), key=lambda table: (len(table.tree.leaves), table.tree.depth))
    for table in tables.values():
        stray = [leaf for leaf in table.tree.leaves if leaf not in widest.tree.leaves]
        if stray:
            raise DataError(
                f"{table.path} has the classes {listed(table.tree.leaves)}, {widest.path} has "
                f"{listed(widest.tree.leaves)}; pass --tree or --dataset, which define the classes."
            )
    return {
        path: table
        if table.tree.digest() == widest.tree.digest()
        else read_foreign(path, widest.tree, logits=logits)
        for path, table in tables.items()
    }


def _with_slides_of(
    reference: Reference, tables: dict[Path, ForeignTable]
) -> dict[Path, ForeignTable]:
    """Slides as the dataset writes them; without one, without folder and extension."""
    if reference.labels is not None:
        names = {
            path: match(table.slides, reference.labels, str(path)) for path, table in tables.items()
        }
    else:
        names = {path: {s: bare_name(s) for s in table.slides} for path, table in tables.items()}
        if any(len(set(of_table.values())) < len(of_table) for of_table in names.values()):
            return tables  # slides that differ in folder or extension alone
    return {
        path: replace(table, slides=tuple(names[path][slide] for slide in table.slides))
        for path, table in tables.items()
    }


def _completed(reference: Reference, tables: Iterable[ForeignTable]) -> Reference:
    """Labels and patients of the dataset, else those that any of the files has."""
    labels, groups = reference.labels, reference.groups
    if labels is None:
        labels = {
            slide: label
            for table in tables
            for slide, label in zip(table.slides, table.labels or (), strict=False)
        }
    if groups is None:
        groups = {
            slide: patient
            for table in tables
            for slide, patient in zip(table.slides, table.patients or (), strict=False)
        }
    return replace(reference, labels=labels, groups=groups)


# One model.


def _model(
    name: str, members: Sequence[Member], tables: Mapping[Path, ForeignTable], reference: Reference
) -> ForeignModel:
    sets: dict[str, dict[SeedFold, Predictions]] = {}
    files: dict[SeedFold, Path] = {}
    notes: list[str] = []
    numbered = True
    for member in members:
        table = _numbered(tables[member.path], member)
        numbered = numbered and table.folds is not None
        notes += table.notes
        labels = _labels(table, reference)
        patients = _patients(table, reference)
        for of_set, runs in Predictions.of_table(table, labels, patients).items():
            for cell, p in runs.items():
                if cell in sets.setdefault(of_set, {}):
                    raise DataError(
                        f"{files[cell]} and {member.path} both have seed {cell[0]} fold {cell[1]}; "
                        "add the columns fold and seed, or give them names with both."
                    )
                sets[of_set][cell] = p
                files.setdefault(cell, member.path)
    _check_alike(name, [p for runs in sets.values() for p in runs.values()])
    tree = tables[members[0].path].tree
    ordered = {of_set: dict(sorted(of.items())) for of_set, of in sets.items()}
    return ForeignModel(name, files, tree, ordered, tuple(dict.fromkeys(notes)), numbered)


def _check_alike(name: str, predictions: Sequence[Predictions]) -> None:
    """Refuse runs of one model of which some lack what others have."""
    if len({p.ranked for p in predictions}) > 1:
        raise DataError(
            f"some files of {name} have probabilities and others decisions only; give all of them "
            "the same columns."
        )
    levels = {level for p in predictions for level in p.heads}
    lacking = [level for level in sorted(levels) if any(level not in p.heads for p in predictions)]
    if lacking:
        raise DataError(
            f"some files of {name} have columns of level {lacking[0]!r} and others lack them; give "
            "all of them the same columns."
        )


def _numbered(table: ForeignTable, member: Member) -> ForeignTable:
    """The table with fold and seed of the file's name where it has no columns of them."""
    n = len(table.slides)
    # Columns are more exact than names of files.
    folds = table.folds or ((member.fold,) * n if member.fold is not None else None)
    seeds = table.seeds or ((member.seed,) * n if member.seed is not None else None)
    return replace(table, folds=folds, seeds=seeds)


def _labels(table: ForeignTable, reference: Reference) -> Sequence[str]:
    known = reference.labels or {}
    lacking = [slide for slide in table.slides if slide not in known]
    if table.labels is None and lacking:
        raise DataError(
            f"{table.path} has no column 'label' ({len(lacking)} slides, first: "
            f"{lacking[:_SHOWN]}); add it, or pass --dataset with --data-root."
        )
    if table.labels is None:
        return [known[slide] for slide in table.slides]
    return table.labels


def _check_agreement(table: ForeignTable, known: Mapping[str, str]) -> None:
    """Refuse labels that are not those of the dataset."""
    wrong = [
        f"{slide} ({label}, dataset: {known[slide]})"
        for slide, label in zip(table.slides, table.labels or (), strict=False)
        if label != known[slide]
    ]
    if wrong:
        raise DataError(
            f"{table.path}: {counted(len(wrong), 'label differs', 'labels differ')} from the "
            f"dataset's (first: {', '.join(wrong[:_SHOWN])}); remove the column to use the "
            "dataset's labels."
        )


def _patients(table: ForeignTable, reference: Reference) -> Sequence[str] | None:
    """Those of the file, else those known elsewhere; ``None`` where there are none."""
    if table.patients is not None:
        return table.patients
    known = reference.groups or {}
    return [known.get(slide, "") for slide in table.slides] if known else None


def with_count(model: ForeignModel, reference: Reference) -> ForeignModel:
    """Return the model with a note on how many slides of the dataset have no prediction."""
    if reference.labels is None:
        return model
    slides = {s for runs in model.sets.values() for p in runs.values() for s in p.slide_ids}
    left = len(reference.labels.keys() - slides)
    if not left:
        return model
    note = f"{left} of the dataset's {len(reference.labels)} slides have no prediction"
    return replace(model, notes=(*model.notes, note))


def _rows(p: Predictions) -> dict[str, tuple[object, ...]]:
    """Slide -> label and probabilities."""
    heads = [p.heads[level].tolist() for level in sorted(p.heads)]
    rows = zip(p.slide_ids.tolist(), p.labels.tolist(), *heads, strict=True)
    return {str(slide): tuple(rest) for slide, *rest in rows}
