"""Whether methods can be paired: the same slides, of the same patients, in the same cells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mil_bench.errors import DataError
from mil_bench.evaluation.predictions import Predictions

Cells = Mapping[tuple[int, int], Predictions]
"""Test predictions of one method by ``(seed, fold)``."""
_SHOWN = 3


def check_pairable(methods: Mapping[str, Cells]) -> None:
    """``DataError`` unless all methods have the same cells and in each the same slides."""
    if not methods or not all(methods.values()):
        raise DataError("there are no predictions to compare; expected at least one per method.")
    (first, cells), *others = methods.items()
    for name, other in others:
        if cells.keys() != other.keys():
            only = sorted(cells.keys() ^ other.keys())[:_SHOWN]
            raise DataError(
                f"{first} and {name} do not have the same (seed, fold) pairs (differ in {only}); "
                "finish the missing runs, or compare what both have."
            )
        for cell, p in cells.items():
            _check_slides(f"{first} and {name}, seed {cell[0]} fold {cell[1]}", p, other[cell])


def common(
    methods: Mapping[str, Cells],
) -> tuple[dict[str, dict[tuple[int, int], Predictions]], str]:
    """The cells and slides that all methods have, in one order, and a sentence on what is left out.

    The sentence is empty where nothing is. Labels and patients must still agree.
    """
    cells = sorted(set.intersection(*(set(found) for found in methods.values())))
    shared = {
        cell: reduce(np.intersect1d, [found[cell].slide_ids for found in methods.values()])
        for cell in cells
    }
    cut = {
        name: {cell: _cut(found[cell], shared[cell]) for cell in cells if len(shared[cell])}
        for name, found in methods.items()
    }
    before = sum(len(p) for found in methods.values() for p in found.values())
    after = sum(len(p) for found in cut.values() for p in found.values())
    if after == before:
        return cut, ""
    return cut, f"compared on what all have: {before - after} of {before} predictions are left out"


def _cut(p: Predictions, slides: NDArray[np.str_]) -> Predictions:
    order = np.argsort(p.slide_ids)
    rows = order[np.isin(p.slide_ids[order], slides)]
    heads = {level: probs[rows] for level, probs in p.heads.items()}
    return Predictions(p.taxonomy, p.slide_ids[rows], p.groups[rows], p.labels[rows], heads)


def _check_slides(what: str, a: Predictions, b: Predictions) -> None:
    order_a, order_b = np.argsort(a.slide_ids), np.argsort(b.slide_ids)
    if not np.array_equal(a.slide_ids[order_a], b.slide_ids[order_b]):
        only = np.setxor1d(a.slide_ids, b.slide_ids)
        raise DataError(
            f"{what}: {len(only)} slides are predicted by one of them only (first: "
            f"{only[:_SHOWN].tolist()}); expected the same slides, or compare what both have."
        )
    for kind in ("labels", "groups"):
        differ = getattr(a, kind)[order_a] != getattr(b, kind)[order_b]
        if differ.any():
            named = a.slide_ids[order_a][differ][:_SHOWN].tolist()
            raise DataError(
                f"{what}: {kind} of {int(differ.sum())} slides differ (first: {named}); expected "
                "predictions of one label table."
            )
