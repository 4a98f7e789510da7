"""Which columns of a foreign table are the probabilities of which classes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mil_bench.base.errors import DataError, listed, nearest
from mil_bench.base.tables import TextTable, named, plain
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.foreign.roles import Roles, some
from mil_bench.evaluation.foreign.values import whole_number

POSITIVE = ("prob", "probability", "score", "y_prob", "y_score", "prob_positive", "positive_prob",
            "p", "pos_prob", "logit")  # fmt: skip
"""Columns that hold the probability of the positive class of two, without its name."""
FORMS = ("{}", "leaf:{}", "prob_{}", "p_{}", "probability_{}", "probs_{}", "logit_{}", "logits_{}",
         "score_{}", "prob:{}", "{}_prob", "{}_probability")  # fmt: skip
"""How tools name the column of class X; one form is used throughout a file."""
BY_NUMBER = ("p_{}", "prob_{}", "probability_{}", "probs_{}", "class_{}", "logit_{}", "logits_{}",
             "score_{}", "p{}", "prob{}", "{}")  # fmt: skip
"""The same with the number of a class instead of its name."""


@dataclass(frozen=True)
class ClassColumns:
    """The columns of probabilities: one per class of a level, or of the positive class alone.

    ``leaves`` is empty where the table only has decisions. ``by_number`` says that columns count
    classes instead of naming them.
    """

    tree: Taxonomy
    leaves: tuple[str, ...]
    upper: Mapping[str, tuple[str, ...]]
    positive: int | None = None
    by_number: bool = False


def columns_under(table: TextTable, roles: Roles, tree: Taxonomy) -> ClassColumns:
    """Find the columns of the classes of ``tree``, by name, else by number in its order.

    Raises ``DataError`` where classes have no column and there is no decision either.
    """
    # Identity columns are never classes.
    free = [name for name in table.header if name not in roles.names]
    upper = _upper(free, tree)
    stamp = [f"{roles.label}_{{}}"] if roles.label else []
    forms = [*FORMS, *stamp]
    for form in forms:
        columns = _matched(free, [form.format(leaf) for leaf in tree.leaves])
        if None not in columns:
            return ClassColumns(tree, tuple(filter(None, columns)), upper)
    for form in BY_NUMBER:
        columns = _matched(free, [form.format(i) for i in range(len(tree.leaves))])
        if None not in columns:
            return ClassColumns(tree, tuple(filter(None, columns)), upper, by_number=True)
    single = _single(free, tree, forms)
    if single is not None:
        return ClassColumns(tree, (single[0],), upper, positive=single[1])
    # The form that fits best, for the message.
    best = max(forms, key=lambda form: sum(form.format(leaf) in free for leaf in tree.leaves))
    lacking = [n for leaf in tree.leaves if (n := best.format(leaf)) not in free]
    if roles.decision is not None and len(lacking) == len(tree.leaves):
        return ClassColumns(tree, (), upper)
    near = nearest(lacking[0], free)
    hint = f"nearest to {lacking[0]!r}: {near[0]!r}" if near else f"found: {some(table.header)}"
    raise DataError(
        f"{table.path} has no columns {some(lacking)} (probabilities of the classes of tree "
        f"{tree.name!r}); {hint}."
    )


def _upper(free: Sequence[str], tree: Taxonomy) -> dict[str, tuple[str, ...]]:
    """Direct heads whose classes are those of the tree; others belong to another tree."""
    heads = {}
    for level in tree.levels[:-1]:
        names = [f"{level}:{name}" for name in tree.classes[level]]
        if set(names) == {name for name in free if name.startswith(f"{level}:")}:
            heads[level] = tuple(names)
    return heads


def _single(free: Sequence[str], tree: Taxonomy, forms: Sequence[str]) -> tuple[str, int] | None:
    """The one column of a tree of two classes, and the class that it is of."""
    if len(tree.leaves) != 2:
        return None
    for names in ([form.format(leaf) for leaf in tree.leaves] for form in forms):
        columns = _matched(free, names)
        if columns.count(None) == 1:
            k = 0 if columns[0] else 1  # the one that is there
            return str(columns[k]), k
    for form in BY_NUMBER:
        (column,) = _matched(free, [form.format(1)])
        if column:
            return column, 1
    positive = named(free, POSITIVE)
    return (positive, 1) if positive else None


def _matched(free: Sequence[str], names: Sequence[str]) -> list[str | None]:
    """The column of each name: equal, else equal but for case, blanks, ``_`` and ``-``."""
    if len({plain(name) for name in names}) < len(names):  # classes that differ in these alone
        return [name if name in free else None for name in names]
    by_plain = {plain(name): name for name in reversed(free)}
    return [name if name in free else by_plain.get(plain(name)) for name in names]


def columns_without_tree(table: TextTable, roles: Roles) -> ClassColumns:
    """Find classes by the columns and labels of the table itself: a flat tree in their order.

    Raises ``DataError`` where they cannot be recognised.
    """
    labels = set(table.column(roles.label)) - {""} if roles.label else set()
    free = [name for name in table.header if name not in roles.names]
    groups = [_captured(free, form) for form in FORMS[1:]]
    if roles.label:
        groups.append(_captured(free, f"{roles.label}_{{}}"))
    # The first form with several classes.
    for classes in (group for group in groups if len(group) > 1):
        return _of_classes(table, roles, classes, labels)
    numeric = [name for name in free if _is_numeric(table.column(name))]
    of_labels = {name: name for name in numeric if _in(name, labels)}
    complete = {name: name for name in numeric} if _sums_to_one(table, numeric) else of_labels
    if len(complete) > 1 and (of_labels or not labels):
        return _of_classes(table, roles, complete, labels)
    single = [*(group for group in groups if group), *([of_labels] if of_labels else [])]
    if len(labels) == 2 and (single or named(free, POSITIVE)):
        return _binary(table, roles, free, labels)
    if roles.decision is not None:
        decided = set(table.column(roles.decision)) - {""}
        return ClassColumns(_flat(table, _sorted(labels | decided)), (), {})
    raise DataError(
        f"{table.path} has the columns {some(table.header)}; expected one with probabilities per "
        "class, such as prob_X, or a decision such as pred. Pass --tree with the classes if they "
        "are named otherwise."
    )


def _of_classes(
    table: TextTable, roles: Roles, classes: Mapping[str, str], labels: set[str]
) -> ClassColumns:
    """A flat tree of the classes that have columns; labels must be among them."""
    names = list(classes)
    stray = sorted(label for label in labels if not _in(label, names))
    numbered = [whole_number(name) for name in names]
    if stray and None not in numbered and all(whole_number(v) is None for v in labels):
        raise DataError(
            f"{table.path} counts its classes ({listed(list(classes.values()))}) and names its "
            f"labels ({listed(sorted(labels))}); pass --tree with the classes in that order."
        )
    if stray:
        raise DataError(
            f"{table.path} has the labels {some(stray)} without a column of probabilities; the "
            f"columns are of {some(names)}."
        )
    if None not in numbered:
        names.sort(key=lambda name: whole_number(name) or 0)
    columns = tuple(classes[name] for name in names)
    return ClassColumns(_flat(table, names), columns, {})


def _binary(table: TextTable, roles: Roles, free: Sequence[str], labels: set[str]) -> ClassColumns:
    """Two labels and one column of probabilities."""
    tree = _flat(table, _sorted(labels))
    forms = [*FORMS, *([f"{roles.label}_{{}}"] if roles.label else [])]
    column, k = _single(free, tree, forms) or ("", 0)
    by_name = any(column == form.format(leaf) for form in forms for leaf in tree.leaves)
    if not column or (not by_name and None in map(whole_number, tree.leaves)):
        raise DataError(
            f"{table.path}: the column {column!r} holds the probability of one of "
            f"{listed(tree.leaves)}, but which one is unknown; pass --tree with the positive class "
            "last."
        )
    return ClassColumns(tree, (column,), {}, positive=k)


def _captured(free: Iterable[str], form: str) -> dict[str, str]:
    """Class -> column, for the columns of one form."""
    start, _, end = form.partition("{}")
    size = len(start) + len(end)
    return {
        name[len(start) : len(name) - len(end)]: name
        for name in free
        if len(name) > size and name.startswith(start) and name.endswith(end)
    }


def _flat(table: TextTable, classes: Iterable[str]) -> Taxonomy:
    name = table.path.name.split(".")[0] or LEAF
    return Taxonomy.flat(name, classes)


def _sorted(labels: Iterable[str]) -> list[str]:
    """Numbers first, in their order; each number once, however it is written."""
    by_value: dict[int | str, str] = {}
    for label in sorted(labels):
        number = whole_number(label)
        by_value[label if number is None else number] = label
    return [by_value[value] for value in sorted(by_value, key=lambda v: (isinstance(v, str), v))]


def _in(name: str, names: Collection[str]) -> bool:
    value = whole_number(name)
    return name in names or (value is not None and value in map(whole_number, names))


def _is_numeric(cells: Sequence[str]) -> bool:
    return all(re.fullmatch(r"[-+]?[\d.,]+([eE][-+]?\d+)?\s*%?", cell) for cell in cells)


def _sums_to_one(table: TextTable, names: Sequence[str]) -> bool:
    """Whether these columns are all classes: every row adds up to 1, or to 100."""
    if len(names) < 2:
        return False
    try:
        columns = [
            [float(c.rstrip("% ").replace(",", ".")) for c in table.column(n)] for n in names
        ]
    except ValueError:
        return False
    sums = [sum(row) for row in zip(*columns, strict=True)]
    # Rounded columns do not sum exactly.
    return all(abs(s - 1) < 0.06 for s in sums) or all(abs(s - 100) < 6 for s in sums)
