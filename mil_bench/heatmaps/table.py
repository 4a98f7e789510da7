"""The scores of one slide as CSV: raw, with percentile ranks beside them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mil_bench.evaluation.csv_safety import escape
from mil_bench.heatmaps.places import Places
from mil_bench.heatmaps.relevance import ScoreMap


def scores_csv(maps: Sequence[ScoreMap], places: Places, marks: Sequence[str] | None = None) -> str:
    """A line per patch: ``row``, ``x_<unit>``, ``y_<unit>``, ``label`` where known, and two
    columns per map, ``<level>:<class>`` (raw) and ``<level>:<class> rank`` (0 to 1).
    """
    x, y = places.corners.T
    columns: dict[str, object] = {
        "row": range(len(places.corners)),
        f"x_{places.unit}": x,
        f"y_{places.unit}": y,
    }
    if marks is not None:
        columns["label"] = [escape(mark) for mark in marks]
    for one in maps:
        columns[escape(f"{one.level}:{one.name}")] = one.values
        columns[escape(f"{one.level}:{one.name} rank")] = one.ranks
    return pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")
