"""Manifest and tree from a user's own table, whatever its columns are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.tables import read_table, require
from mil_bench.base.config import StrictConfig
from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.manifest import REQUIRED, Manifest

ColumnRef = str | int  # a name, or a position in a table without a header
OPTIONAL = ("patient_id", "group_id", "split")
_LEVEL = "level:"  # prefix of the canonical columns of the tree's inner levels


class Columns(StrictConfig):
    """Which column holds what. Positions (0, 1, ...) say that the table has no header."""

    slide_id: ColumnRef = "slide_id"
    label: ColumnRef = "label"
    patient_id: ColumnRef = "patient_id"
    group_id: ColumnRef = "group_id"
    split: ColumnRef = "split"
    coarse: ColumnRef | tuple[ColumnRef, ...] = ()  # the tree's inner levels, from the top

    @property
    def levels(self) -> tuple[ColumnRef, ...]:
        """Columns of the inner levels."""
        return self.coarse if isinstance(self.coarse, tuple) else (self.coarse,)

    @property
    def header(self) -> bool:
        """Whether tables have a header."""
        return isinstance(self.slide_id, str)

    @property
    def names(self) -> frozenset[str]:
        """Every column that is about the slide, as the table calls it."""
        single = (self.slide_id, self.label, self.patient_id, self.group_id, self.split)
        return frozenset(map(str, (*single, *self.levels)))

    def find(self, name: ColumnRef, table: pd.DataFrame, path: Path) -> str:
        """Return the table's column called ``name``, or raise ``DataError``."""
        hint = 'Name it under [columns], such as slide_id = "bag" (or a position without a header).'
        return require(table, [str(name)], path, hint)


def read_slide_table(path: Path, columns: Columns, row_per_slide: bool = True) -> pd.DataFrame:
    """Read one row per slide with canonical column names, then the other columns.

    Without ``row_per_slide`` the table has a row per instance that repeats what is true of the
    bag; rows that disagree are a ``DataError``.
    """
    table = read_table(path, header=columns.header)
    wanted: dict[str, ColumnRef] = {"slide_id": columns.slide_id, "label": columns.label}
    wanted |= {f"{_LEVEL}{i}": name for i, name in enumerate(columns.levels)}
    for key in OPTIONAL:
        name = getattr(columns, key)
        if name in table or name != key:  # a column that was requested by name must be there
            wanted[key] = name
    names = {key: columns.find(name, table, path) for key, name in wanted.items()}
    canonical = table[list(names.values())].set_axis(list(names), axis=1)
    if not row_per_slide:
        return _one_row_per_bag(canonical, path)
    # Columns of an own meaning stay.
    rest = [c for c in table if c not in names.values() and c not in {*REQUIRED, *OPTIONAL}]
    return pd.concat([canonical, table[rest]], axis=1)


def manifest_of(table: pd.DataFrame) -> Manifest:
    """Make the manifest of a canonical table; other columns are kept."""
    extra = [c for c in map(str, table) if c not in REQUIRED and not c.startswith(_LEVEL)]
    return Manifest.build(
        table["slide_id"],
        table["label"],
        table.get("patient_id"),
        table.get("group_id"),
        **{name: table[name].tolist() for name in extra},
    )


def tree_of(table: pd.DataFrame, name: str, classes: Sequence[str], ordered: bool) -> Taxonomy:
    """Make the tree that the coarse columns describe, or a flat one without such columns.

    ``classes`` is the order of the leaves; by default numbers come first, then the alphabet.
    """
    levels = [c for c in map(str, table) if c.startswith(_LEVEL)]
    rows = table[[*levels, "label"]].drop_duplicates().itertuples(index=False, name=None)
    paths = sorted(rows, key=lambda path: _natural(path[-1]))
    if classes:
        unknown = sorted({path[-1] for path in paths} - set(classes))
        if unknown:
            raise DataError(
                f"the labels {unknown[:5]} are not among `classes` {list(classes)}; add them or "
                "correct the label table."
            )
        # With inner levels, the parent of an unseen leaf is unknown.
        unseen = [] if levels else [(leaf,) for leaf in classes]
        paths = sorted({*paths, *unseen}, key=lambda path: classes.index(path[-1]))
    return Taxonomy(name, tuple(paths), ordered)


def _one_row_per_bag(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    rows = table.drop_duplicates()  # rows that agree collapse into one
    disagreeing = rows["slide_id"][rows["slide_id"].duplicated()]
    if len(disagreeing):
        raise DataError(
            f"{path}: the rows of bag {disagreeing.iloc[0]!r} disagree in "
            f"{list(table.columns[1:])}; expected one label per bag."
        )
    return rows.reset_index(drop=True)


def _natural(label: str) -> tuple[bool, float, str]:
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label  # text behind all numbers
