"""Slides that two methods decide differently, those first on which one is surest to be right."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table
from mil_bench.taxonomy import LEAF

Means = dict[tuple[int, str], NDArray[np.float64]]
_KEYS = ("slide", "fold")
_SHOWN = ("label", "first", "second", "right", "first_p", "second_p")
_COLUMNS = columns("slide", "patient", "fold", *_SHOWN, table="slides")


def disagreements_table(analysis: Analysis) -> Table | None:
    """A row per slide and fold on which two comparable rows decide for different leaves.

    Probabilities are means over seeds. ``None`` without two rows.
    """
    if len(analysis.paired) < 2:
        return None
    rows = {row.label: row for row in analysis.board.rows}
    a, b = analysis.paired[:2]
    one, two = _means(rows[a]), _means(rows[b])
    known = {
        (cell[1], str(slide)): (str(group), int(label))
        for cell, p in rows[a].predictions.items()
        for slide, group, label in zip(p.slide_ids, p.groups, p.labels, strict=True)
    }
    apart = [key for key in one if one[key].argmax() != two[key].argmax()]
    apart.sort(key=lambda key: (-abs(one[key] - two[key])[known[key][1]], key))
    assert analysis.board.taxonomy is not None
    leaves = analysis.board.taxonomy.leaves
    found = [_row(a, key, *known[key], one[key], two[key], leaves) for key in apart]
    note = (
        f"{a} first, {b} second; {len(apart)} of {len(one)} slides are decided differently, by the "
        "mean probability over seeds"
    )
    return Table(
        "slides", "Slides decided differently", _COLUMNS, tuple(found), _KEYS, _SHOWN, note
    )


def _means(row: BoardRow) -> Means:
    """``(fold, slide)`` -> ``(K,)`` leaf probabilities, the mean over seeds."""
    found: dict[tuple[int, str], list[NDArray[np.float64]]] = defaultdict(list)
    for (_, fold), p in sorted(row.predictions.items()):
        for slide, probs in zip(p.slide_ids, p.heads[LEAF], strict=True):
            found[fold, str(slide)].append(probs)
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _row(
    method: str,
    key: tuple[int, str],
    patient: str,
    label: int,
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    leaves: tuple[str, ...],
) -> Row:
    said = (int(one.argmax()), int(two.argmax()))
    right = {said[0]: "first", said[1]: "second"}.get(label, "neither")
    cells: dict[str, Cell] = {
        "slide": key[1],
        "patient": patient,
        "fold": Number(key[0]),
        "label": leaves[label],
        "first": leaves[said[0]],
        "second": leaves[said[1]],
        "right": right,
        "first_p": Number(float(one[label])),
        "second_p": Number(float(two[label])),
    }
    return Row(method, cells)
