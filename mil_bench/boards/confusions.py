"""Confusion matrices of every row, level by level, summed over cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.board import Board, BoardRow
from mil_bench.evaluation.confusion import confusion_matrix
from mil_bench.evaluation.predictions import Predictions


def tree_of(taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the levels, classes and full names, and of every class its index at the top."""
    top = taxonomy.levels[0]
    blocks = {}
    for level in taxonomy.levels:
        of_class = np.zeros(len(taxonomy.classes[level]), dtype=np.int64)
        # Every leaf writes the top class of its class.
        of_class[taxonomy.ancestor_index(level)] = taxonomy.ancestor_index(top)
        blocks[level] = of_class.tolist()
    return {
        "name": taxonomy.name,
        "levels": taxonomy.levels,
        "classes": taxonomy.classes,
        "paths": taxonomy.paths,
        "titles": dict(taxonomy.titles),
        "blocks": blocks,
    }


def confusions(board: Board) -> list[dict[str, Any]]:
    """Return one entry per row, level and source: ``direct`` (a head) or ``summed`` (over leaves).

    ``matrix[t][d]`` counts the test slides of class ``t`` decided as ``d``; a slide counts once per
    seed and per fold that tests it.
    """
    return [entry for row in board.rows if row.predictions for entry in _of_row(row)]


def _decisions(p: Predictions, level: str) -> dict[str, NDArray[np.float64]]:
    """Source -> probabilities; the leaf level has only its head."""
    direct = {"direct": p.heads[level]} if level in p.heads else {}
    return direct if level == LEAF else {**direct, "summed": p.summed(level)}


def _of_row(row: BoardRow) -> list[dict[str, Any]]:
    matrices: dict[tuple[str, str], Any] = {}
    for p in row.predictions.values():
        for level in p.taxonomy.levels:
            for source, probs in _decisions(p, level).items():
                matrix = confusion_matrix(p.truth(level), probs.argmax(1), probs.shape[1])
                matrices[level, source] = matrices.get((level, source), 0) + matrix
    return [
        {"method": row.label, "level": level, "source": source, "matrix": matrix.tolist()}
        for (level, source), matrix in matrices.items()
    ]
