"""What every method says of every test slide: where two methods disagree."""

from __future__ import annotations

from typing import Any

import numpy as np

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.taxonomy import LEAF

MOST = 90_000
"""Slides times methods that a page holds; more would make it larger than 1.5 MB."""


def slides_of(analysis: Analysis) -> dict[str, Any] | None:
    """Test slides with true leaf, and per comparable row the decided leaf and p of the true one.

    Probabilities are means over the seeds, and the folds, that test a slide; ``p`` is in percent.
    ``None`` for a board of more than :data:`MOST` predictions, or without comparable rows.
    """
    rows = [row for row in analysis.board.rows if row.label in analysis.paired]
    if not rows:
        return None
    truth = _truth(rows[0])
    if len(truth) * len(rows) > MOST:
        return None
    return {
        "ids": list(truth),
        "truth": list(truth.values()),
        "methods": [row.label for row in rows],
        "decided": [_decided(row, truth)[0] for row in rows],
        "p": [_decided(row, truth)[1] for row in rows],
    }


def _truth(row: BoardRow) -> dict[str, int]:
    pairs = (
        (str(slide), int(label))
        for p in row.predictions.values()
        for slide, label in zip(p.slide_ids, p.labels, strict=True)
    )
    return dict(sorted(pairs))


def _decided(row: BoardRow, truth: dict[str, int]) -> tuple[list[int], list[int]]:
    position = {slide: i for i, slide in enumerate(truth)}
    first = next(iter(row.predictions.values()))
    total = np.zeros((len(truth), len(first.taxonomy.leaves)))
    for p in row.predictions.values():
        np.add.at(total, [position[str(slide)] for slide in p.slide_ids], p.heads[LEAF])
    mean = total / total.sum(1, keepdims=True)
    chosen = mean[np.arange(len(truth)), list(truth.values())]
    return mean.argmax(1).tolist(), np.rint(100 * chosen).astype(int).tolist()
