"""One table of predictions of any tool, read: slides, labels, patients, folds, probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.csv_safety import unescape
from mil_bench.base.errors import DataError, TaxonomyError, counted
from mil_bench.base.tables import TextTable, plain, read_cells
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.sets import set_name
from mil_bench.evaluation.foreign.class_names import counted_classes, leaves_of
from mil_bench.evaluation.foreign.columns import ClassColumns, columns_under, columns_without_tree
from mil_bench.evaluation.foreign.roles import Roles, roles_of
from mil_bench.evaluation.foreign.values import (
    Cells,
    positive_probability,
    probabilities,
    whole_number,
    whole_numbers,
)

MOST_ROWS = 500_000
"""Slides times folds times seeds of one file; more is not a table of predictions of slides."""


@dataclass(frozen=True)
class ForeignTable:
    """What a table says, a row per slide, fold and seed.

    ``labels`` and ``patients`` are ``None`` where it lacks them. ``heads`` are probabilities
    ``(n, K)`` by level. Where the table only has decisions they are 0 and 1, and ``ranked`` is
    false. ``notes`` say how it was read.
    """

    path: Path
    tree: Taxonomy
    slides: tuple[str, ...]
    lines: tuple[int, ...]
    labels: tuple[str, ...] | None
    patients: tuple[str, ...] | None
    sets: tuple[str, ...]
    folds: tuple[int, ...] | None
    seeds: tuple[int, ...] | None
    heads: Mapping[str, NDArray[np.float64]]
    ranked: bool
    notes: tuple[str, ...]


def read_foreign(
    path: Path,
    tree: Taxonomy | None = None,
    *,
    id_column: str | None = None,
    logits: bool = False,
) -> ForeignTable:
    """Read predictions that any tool wrote; ``docs/score.md`` has the forms that are known.

    Without ``tree`` it is the one in the ``spec.json`` of a run folder, else a flat one of the
    classes in the file. ``id_column`` is the dataset's name for the column of slides. ``logits``
    says that the numbers are logits. Raises ``DataError`` or ``TaxonomyError`` naming columns,
    lines and slides.
    """
    table = read_cells(path, most=MOST_ROWS)
    roles, notes = roles_of(table, id_column), list[str]()
    slides = [unescape(cell) for cell in table.column(roles.slide)]
    _check_filled(table, slides, "slide")
    _check_one_model(table, roles)
    tree = tree or _tree_beside(path)
    if tree is None:
        classes = columns_without_tree(table, roles)
        notes.append(f"classes are read from the file: {', '.join(classes.tree.leaves)}")
    else:
        classes = columns_under(table, roles, tree)
    labels = _labels(table, roles, classes.tree, notes)
    heads = _heads(table, slides, classes, logits, notes)
    decided = _decided(table, roles, classes.tree, notes)
    ranked = LEAF in heads
    if decided is not None and ranked:
        _compare_decisions(str(roles.decision), decided, heads[LEAF], notes)
    elif decided is not None:
        heads = {LEAF: np.eye(len(classes.tree.leaves))[decided]}
        notes.append(
            f"only decisions are given ({roles.decision}): scores of probabilities are empty"
        )
    sets, folds, of_sets = _places(table, roles)
    used = {
        *roles.names,
        *classes.leaves,
        *(c for columns in classes.upper.values() for c in columns),
    }
    if not of_sets:  # a column that holds neither sets nor folds is unused
        used -= {roles.set}
    ignored = [n for n in table.header if n not in used and not n.startswith("Unnamed: ")]
    if ignored:
        notes.append(f"columns not used: {', '.join(ignored)}")
    patients = [unescape(c) for c in table.column(roles.patient)] if roles.patient else None
    return ForeignTable(
        path,
        classes.tree,
        tuple(slides),
        table.lines,
        tuple(labels) if labels is not None else None,
        tuple(patients) if patients is not None else None,
        tuple(sets),
        tuple(folds) if folds is not None else None,
        _numbers(table, roles.seed),
        heads,
        ranked,
        tuple(dict.fromkeys(notes)),
    )


def _check_filled(table: TextTable, cells: Sequence[str], what: str) -> None:
    blank = next((i for i, cell in enumerate(cells) if not cell), None)
    if blank is not None:
        raise DataError(
            f"{table.path} line {table.lines[blank]} has no {what}; fill the cell or remove the "
            "row."
        )


def _check_one_model(table: TextTable, roles: Roles) -> None:
    models = list(dict.fromkeys(table.column(roles.model))) if roles.model else []
    if len(models) > 1:
        raise DataError(
            f"{table.path} has predictions of {len(models)} models (column {roles.model!r}: "
            f"{', '.join(models[:3])}...); give every model a file."
        )


def _tree_beside(path: Path) -> Taxonomy | None:
    """The tree of a run folder, whose definition is next to its predictions."""
    try:
        content = json.loads(path.with_name("spec.json").read_text(encoding="utf-8"))
        return Taxonomy.from_dict(content["tree"])
    # No run folder, or an older one: the file itself decides.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, TaxonomyError):
        return None


def _labels(table: TextTable, roles: Roles, tree: Taxonomy, notes: list[str]) -> list[str] | None:
    if roles.label is None:
        return None
    cells = [unescape(cell) for cell in table.column(roles.label)]
    _check_filled(table, cells, "label")
    return leaves_of(table, cells, tree, notes)


def _heads(
    table: TextTable, slides: list[str], classes: ClassColumns, logits: bool, notes: list[str]
) -> dict[str, NDArray[np.float64]]:
    """Probabilities by level; empty where the table only has decisions."""
    tree = classes.tree
    if not classes.leaves:
        return {}
    if classes.positive is not None:
        k = classes.positive
        p = positive_probability(_cells(table, slides, classes.leaves), logits, notes)
        notes.append(
            f"the column {classes.leaves[0]} is read as the probability of {tree.leaves[k]}"
        )
        both = (p, 1 - p) if k == 0 else (1 - p, p)  # order of the tree
        return {LEAF: np.stack(both, axis=1)}
    if classes.by_number:
        notes.append(counted_classes(tree))
    levels = {LEAF: classes.leaves, **classes.upper}
    return {
        level: probabilities(_cells(table, slides, names), logits, notes)
        for level, names in levels.items()
    }


def _cells(table: TextTable, slides: list[str], names: Iterable[str]) -> Cells:
    columns = {name: table.column(name) for name in names}
    return Cells(table.path, columns, table.lines, slides)


def _decided(
    table: TextTable, roles: Roles, tree: Taxonomy, notes: list[str]
) -> NDArray[np.int64] | None:
    if roles.decision is None:
        return None
    cells = [unescape(cell) for cell in table.column(roles.decision)]
    _check_filled(table, cells, f"cell in the column {roles.decision!r}")
    leaves = leaves_of(table, cells, tree, notes)
    return np.array([tree.index(leaf) for leaf in leaves], dtype=np.int64)


def _compare_decisions(
    column: str, decided: NDArray[np.int64], probs: NDArray[np.float64], notes: list[str]
) -> None:
    """Say where a decision is not the most probable class: another threshold, or another order."""
    chosen = probs[np.arange(len(decided)), decided]  # ties are decided as the file does
    other = int((chosen < probs.max(1)).sum())
    if other:
        notes.append(
            f"{column} is not the most probable class of {counted(other, 'slide')} of "
            f"{len(decided)}; the probabilities decide here"
        )


def _places(
    table: TextTable, roles: Roles
) -> tuple[list[str], list[int] | tuple[int, ...] | None, bool]:
    """The set and the fold of every row; a column ``split`` may hold either."""
    folds = _numbers(table, roles.fold)
    if roles.set is None:
        return ["test"] * len(table.rows), folds, True
    cells = table.column(roles.set)
    sets = {cell: set_name(cell) for cell in set(cells)}
    if all(sets.values()):
        return [str(sets[cell]) for cell in cells], folds, True
    numbers = {cell: whole_number(cell) for cell in sets}
    if folds is None and None not in numbers.values():
        return ["test"] * len(cells), [numbers[cell] or 0 for cell in cells], True
    if plain(roles.set) == "set":
        stray = sorted(cell for cell, name in sets.items() if name is None)
        raise DataError(
            f"{table.path} has the sets {stray[:3]}; expected train, val or test. Correct the "
            f"column {roles.set!r}."
        )
    return ["test"] * len(cells), folds, False


def _numbers(table: TextTable, column: str | None) -> tuple[int, ...] | None:
    if column is None:
        return None
    return tuple(whole_numbers(column, table.column(column), table.path, table.lines))
