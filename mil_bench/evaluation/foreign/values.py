"""The cells of foreign tables as numbers: probabilities, percentages, logits, rounded ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError, counted

Values = NDArray[np.float64]

EXACT = 1e-6
"""Sums within this of 1 are left unchanged: float32 softmax ends up there."""
ROUNDED = 2e-3
"""Sums within this of 1 are rounded ones, whatever their digits: half precision ends up there."""
MOST_ROUNDED = 0.05
_SHOWN = 5


class Cells:
    """Columns of numbers of one table, and where they are: for the messages.

    ``columns`` are texts by name, ``lines`` the line of every row in the file at ``path``.
    """

    def __init__(
        self, path: object, columns: dict[str, list[str]], lines: Sequence[int], slides: list[str]
    ) -> None:
        self.path, self.columns, self.lines, self.slides = path, columns, lines, slides

    def rows(self, index: NDArray[np.int64]) -> str:
        """Name rows: ``line 2 (s0), line 5 (s3) and 4 more``."""
        named = [f"line {self.lines[i]} ({self.slides[i]})" for i in index[:_SHOWN]]
        more = f" and {len(index) - _SHOWN} more" if len(index) > _SHOWN else ""
        return ", ".join(named) + more


def probabilities(cells: Cells, logits: bool, notes: list[str]) -> Values:
    """Return the probabilities ``(n, K)`` of all classes of a level, rows adding up to 1.

    Percentages and rounded numbers are recognised, and ``notes`` say so; logits only where
    ``logits`` says that they are. Raises ``DataError`` for anything else, naming rows.
    """
    values, decimals, percent = _numbers(cells)
    if logits:
        _check_logits(cells, values)
        return _softmax(values)
    if not percent and _are_percentages(values, decimals):
        percent = True
    if percent:
        values, decimals = values / 100, decimals + 2
        notes.append(f"{_columns(cells)} are read as percentages")
    _check_range(cells, values)
    return _whole(cells, np.clip(values, 0, None), decimals, notes)  # float error below 0


def positive_probability(cells: Cells, logits: bool, notes: list[str]) -> Values:
    """Return the probabilities ``(n,)`` of one class of two, from a single column."""
    values, _, percent = _numbers(cells)
    if logits:
        _check_logits(cells, values)
        # exp overflows above 709.
        return np.asarray(1 / (1 + np.exp(-np.clip(values[:, 0], -500, 500))))
    if percent:
        notes.append(f"{_columns(cells)} is read as percentages")
        values = values / 100
    _check_range(cells, values)
    return np.asarray(np.clip(values[:, 0], 0, 1))


def whole_numbers(name: str, texts: Sequence[str], path: object, lines: Sequence[int]) -> list[int]:
    """Return a column of folds or seeds. Raises ``DataError`` naming a cell that is none."""
    known = {text: whole_number(text) for text in set(texts)}
    wrong = next((i for i, text in enumerate(texts) if known[text] is None), None)
    if wrong is not None:
        raise DataError(
            f"{path} line {lines[wrong]}, column {name!r}: {texts[wrong]!r} is not a whole number "
            "from 0; expected the number of a fold or seed."
        )
    return [known[text] or 0 for text in texts]


def whole_number(text: str) -> int | None:
    """Return the number of a class, fold or seed, ``1`` or ``1.0``; ``None`` for other text."""
    match = re.fullmatch(r"([0-9]{1,9})(\.0*)?", text)
    return int(match[1]) if match else None


def _numbers(cells: Cells) -> tuple[Values, int, bool]:
    """Numbers ``(n, K)``, how many decimals they were written with, whether with a per cent sign.

    A comma is the decimal sign where no point is.
    """
    texts = list(cells.columns.values())
    percent = all(cell.endswith("%") for column in texts for cell in column)
    columns = [[_plain(cell, percent) for cell in column] for column in texts]
    try:
        values = np.array([[float(cell) for cell in column] for column in columns]).T
        if any("_" in cell for column in columns for cell in column):  # Python's 1_000
            raise ValueError
    except ValueError:
        name, i = next(
            (name, i)
            for name, column in zip(cells.columns, columns, strict=True)
            for i, cell in enumerate(column)
            if not _is_number(cell)
        )
        raise DataError(
            f"{cells.path} line {cells.lines[i]}, column {name!r}: {cells.columns[name][i]!r} is "
            "not a number; expected a probability such as 0.25."
        ) from None
    infinite = np.flatnonzero(~np.isfinite(values).all(1))
    if len(infinite):
        raise DataError(
            f"{cells.path}: {cells.rows(infinite)} hold NaN or infinite probabilities; the model "
            "has diverged or the file is damaged."
        )
    return values, max(_decimals(cell) for column in columns for cell in column), percent


def _plain(cell: str, percent: bool) -> str:
    text = cell[:-1].rstrip() if percent else cell
    return text.replace(",", ".") if "," in text and "." not in text else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _decimals(text: str) -> int:
    """Digits behind the point; many for numbers with an exponent."""
    return 16 if "e" in text.lower() else len(text.partition(".")[2])


def _are_percentages(values: Values, decimals: int) -> bool:
    """Whether numbers up to 100 add up to 100 in every row, as far as they are rounded."""
    inside = values.max() > 1 + ROUNDED and values.min() >= 0 and values.max() <= 100 + ROUNDED
    sums = np.abs(values.sum(1) - 100)
    return bool(inside and (sums <= 100 * _tolerance(values.shape[1], decimals + 2)).all())


def _tolerance(classes: int, decimals: int) -> float:
    """How far sums of ``classes`` numbers of so many decimals may be from 1 by rounding."""
    # Each number is off by half of its last digit.
    return min(max(classes * 0.5 * 10.0**-decimals, ROUNDED), MOST_ROUNDED) + 1e-9


def _check_range(cells: Cells, values: Values) -> None:
    outside = np.flatnonzero(((values < -EXACT) | (values > 1 + ROUNDED)).any(1))
    if len(outside):
        raise DataError(
            f"{cells.path}: {_columns(cells)} hold values from {values.min():.4g} to "
            f"{values.max():.4g} ({cells.rows(outside)}), which are neither probabilities nor "
            "percentages that add up to 100. Pass --logits if they are logits."
        )


def _check_logits(cells: Cells, values: Values) -> None:
    # A single logit has no sum.
    sums = values.sum(1) if values.shape[1] > 1 else np.ones(len(values))
    inside = (values >= 0).all() and (values <= 1).all()
    if inside and (np.abs(sums - 1) <= MOST_ROUNDED).all():
        raise DataError(
            f"{cells.path}: {_columns(cells)} hold probabilities already, between 0 and 1; omit "
            "--logits."
        )


def _softmax(values: Values) -> Values:
    # The largest is subtracted: exp does not overflow.
    powers = np.exp(values - values.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def _whole(cells: Cells, values: Values, decimals: int, notes: list[str]) -> Values:
    """Rows that add up to 1; those that rounding keeps from it are divided by their sum."""
    sums = values.sum(1)
    tolerance = _tolerance(values.shape[1], decimals)
    apart = np.abs(sums - 1)
    wrong = np.flatnonzero(apart > tolerance)
    if len(wrong):
        raise DataError(
            f"{cells.path}: probabilities of {cells.rows(wrong)} do not sum to 1 (first: "
            f"{sums[wrong[0]]:.4g}); expected one probability per class of the tree. Scores of "
            "classes that do not exclude each other cannot be ranked here."
        )
    if (apart <= EXACT).all():
        return values
    notes.append(
        f"probabilities are rounded: rows add up to {sums.min():.4g} to {sums.max():.4g} and are "
        f"divided by their sum (tolerance {tolerance:.2g})"
    )
    ties = int(((values == values.max(1, keepdims=True)).sum(1) > 1).sum())
    if ties:
        slides = counted(ties, "slide")
        notes.append(f"{slides} tie between classes after rounding; the first in the tree counts")
    return np.asarray(values / sums[:, None])


def _columns(cells: Cells) -> str:
    names = list(cells.columns)
    shown = ", ".join(names[:3])
    if len(names) == 1:
        return f"the column {shown}"
    return f"the columns {shown}{' and others' if len(names) > 3 else ''}"
