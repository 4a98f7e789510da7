"""A split: one or more folds, each three disjoint lists of slides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pandas as pd

from mil_bench.base.errors import SplitError
from mil_bench.base.finding import Note
from mil_bench.contract.sets import SETS


@dataclass(frozen=True)
class Fold:
    """Slide ids of one fold."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def sets(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield ``("train", ids)``, ``("val", ids)``, ``("test", ids)``."""
        return iter(zip(SETS, (self.train, self.val, self.test), strict=True))


@dataclass(frozen=True)
class Split:
    """Named folds. ``mode`` is ``official``, ``kfold``, ``monte-carlo`` or ``imported``.

    ``name`` is what a user types and what boards show (``kfold-5``, ``official``...). ``notes``
    are warnings, such as patients shared between the sets of an imported split.
    """

    name: str
    mode: str
    folds: tuple[Fold, ...]
    notes: tuple[Note, ...] = ()

    def __len__(self) -> int:
        return len(self.folds)

    def __getitem__(self, fold: int) -> Fold:
        if not 0 <= fold < len(self.folds):
            raise SplitError(
                f"fold {fold} does not exist; split {self.name!r} has the folds "
                f"0 to {len(self.folds) - 1}."
            )
        return self.folds[fold]

    def check(self, groups: Mapping[str, str], allow_leaks: bool = False) -> None:
        """Raise ``SplitError`` unless every fold is complete, known and disjoint in groups.

        ``groups`` maps slide to group (patient); no group may be in two sets of a fold unless
        ``allow_leaks``. A slide in two sets is refused in any case.
        """
        for k, fold in enumerate(self.folds):
            where = f"split {self.name!r} fold {k}"
            _check_slides(fold, groups, where)
            if not allow_leaks:
                _check_groups(fold, groups, where)

    def digest(self) -> str:
        """Return the content hash of the folds, in any order of the slides of a set."""
        # Sorted: the order within a set means nothing.
        content = repr([[sorted(ids) for _, ids in fold.sets()] for fold in self.folds])
        return sha256(content.encode()).hexdigest()[:12]

    def table(self) -> pd.DataFrame:
        """Return ``slide_id, fold_0, ...`` with cells ``train``, ``val``, ``test`` or empty."""
        columns: dict[str, dict[str, str]] = {}
        for k, fold in enumerate(self.folds):
            columns[f"fold_{k}"] = {s: name for name, ids in fold.sets() for s in ids}
        slides = sorted({s for column in columns.values() for s in column})
        cells = {k: [column.get(s, "") for s in slides] for k, column in columns.items()}
        return pd.DataFrame({"slide_id": slides, **cells})

    def save(self, folder: Path) -> Path:
        """Write ``<folder>/<name>-<digest>.csv`` and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}-{self.digest()}.csv"
        if not path.exists():
            # Runs of a grid save the same split at the same time: each process writes its own file
            # and renames it, so that none ever reads half a split.
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            self.table().to_csv(partial, index=False)
            partial.replace(path)
        return path


def _check_slides(fold: Fold, groups: Mapping[str, str], where: str) -> None:
    set_of: dict[str, str] = {}
    for name, slides in fold.sets():
        if not slides:
            raise SplitError(f"{where}: the {name} set is empty; every fold needs all three sets.")
        for slide in slides:
            if slide not in groups:
                raise SplitError(
                    f"{where}: {name} slide {slide!r} is not in the dataset; correct the id or "
                    "remove it from the split."
                )
            if slide in set_of:
                raise SplitError(
                    f"{where}: slide {slide!r} is in {set_of[slide]} and again in {name}; "
                    "list it once."
                )
            set_of[slide] = name


def _check_groups(fold: Fold, groups: Mapping[str, str], where: str) -> None:
    first_slide: dict[str, tuple[str, str]] = {}
    for name, slides in fold.sets():
        for slide in slides:
            group = groups[slide]
            other, first = first_slide.setdefault(group, (name, slide))
            if other != name:
                raise SplitError(
                    f"{where} leaks: group {group!r} is in {other} ({first}) and {name} "
                    f"({slide}); groups must not cross sets. Use a grouped split, "
                    "--drop-leaky-patients, or --allow-leaks to run it marked as leaky."
                )
