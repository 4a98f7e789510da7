"""The classes that cells name: by name, in any case, or counted in the order of the tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mil_bench.base.errors import TaxonomyError, UnknownNameError
from mil_bench.base.tables import TextTable, plain
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.evaluation.foreign.values import whole_number


def leaves_of(
    table: TextTable, cells: Sequence[str], tree: Taxonomy, notes: list[str]
) -> list[str]:
    """Return cells as leaves: by name, in any case, as numbers of the same value, by place.

    ``notes`` say where they count the classes of the tree. Raises ``TaxonomyError`` naming a line.
    """
    values = dict.fromkeys(cells)
    for reading in _READINGS:
        leaves = reading(tree.leaves)
        if all(_key(reading, value) in leaves for value in values):
            if reading is _by_place:
                notes.append(counted_classes(tree))
            chosen = {value: leaves[_key(reading, value)] for value in values}
            return [chosen[cell] for cell in cells]
    line, cell = next(
        (line, cell)
        for line, cell in zip(table.lines, cells, strict=True)
        if cell not in tree.leaves
    )
    error = UnknownNameError("label", cell, tree.leaves, of=f"tree {tree.name!r}")
    raise TaxonomyError(f"{table.path} line {line}: {error}")


def counted_classes(tree: Taxonomy) -> str:
    """Say which numbers stand for which classes."""
    order = ", ".join(f"{i} {leaf}" for i, leaf in enumerate(tree.leaves))
    return f"classes are counted in the order of the tree: {order}"


def _by_name(leaves: Sequence[str]) -> dict[str, str]:
    return {leaf: leaf for leaf in leaves}


def _in_any_case(leaves: Sequence[str]) -> dict[str, str]:
    """Without those that differ in case alone."""
    names = [plain(leaf) for leaf in leaves]
    return {plain(leaf): leaf for leaf in leaves if names.count(plain(leaf)) == 1}


def _by_value(leaves: Sequence[str]) -> dict[str, str]:
    return {_value(leaf): leaf for leaf in leaves if _value(leaf)}


def _by_place(leaves: Sequence[str]) -> dict[str, str]:
    return {str(i): leaf for i, leaf in enumerate(leaves)}


_READINGS: tuple[Callable[[Sequence[str]], dict[str, str]], ...] = (
    _by_name,
    _in_any_case,
    _by_value,
    _by_place,
)


def _key(reading: Callable[[Sequence[str]], dict[str, str]], value: str) -> str:
    if reading is _by_name:
        return value
    return plain(value) if reading is _in_any_case else _value(value)


def _value(text: str) -> str:
    """``1`` of ``1.0``; empty for text that is not a whole number."""
    number = whole_number(text)
    return "" if number is None else str(number)
