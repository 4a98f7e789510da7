"""What a heatmap writes as text: scores as CSV, tiles as GeoJSON, names of files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pandas as pd

from mil_bench.base.csv_safety import escape
from mil_bench.heatmaps.patch_scores import ScoreMap
from mil_bench.heatmaps.patches import Places


def scores_csv(maps: Sequence[ScoreMap], places: Places, marks: Sequence[str] | None = None) -> str:
    """Return a line per patch: ``row``, ``x_<unit>``, ``y_<unit>``, ``label`` where known.

    Every map adds two columns, ``<level>:<class>`` (raw) and ``<level>:<class> rank`` (0 to 1).
    """
    x, y = places.corners.T
    columns: dict[str, object] = {
        "row": range(len(places.corners)),
        f"x_{places.unit}": x,
        f"y_{places.unit}": y,
    }
    if marks is not None:
        # Class names may look like formulas to Excel.
        columns["label"] = [escape(mark) for mark in marks]
    for score_map in maps:
        columns[escape(f"{score_map.level}:{score_map.name}")] = score_map.values
        columns[escape(f"{score_map.level}:{score_map.name} rank")] = score_map.ranks
    return pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")


# Tiles with their scores as GeoJSON that QuPath opens (File > Import objects from file).

TILE = "tile"  # a kind of object that QuPath counts among the detections


def tiles_geojson(
    maps: Sequence[ScoreMap], places: Places, marks: Sequence[str] | None = None
) -> str:
    """Return a ``FeatureCollection`` of squares in level-0 pixels, y down, in the order of the bag.

    Every square carries the raw score and the percentile rank (0 to 1) of each map as
    measurements, for *Measure > Show measurement maps*; ``marks`` are known classes.
    ``places`` must be in level-0 pixels.
    """
    assert places.unit == "level0_px", "GeoJSON of a slide is in its pixels"
    columns = [(f"{m.title} {kind}", v) for m in maps for kind, v in _both(m)]
    features = []
    for row, square in enumerate(places.squares.tolist()):
        properties: dict[str, Any] = {
            "objectType": TILE,
            "name": f"tile {row}",
            # every version of QuPath reads a list of pairs, only 0.4 and later an object
            "measurements": [{"name": name, "value": float(v[row])} for name, v in columns],
        }
        if marks is not None:
            properties["classification"] = {"name": marks[row]}
        # GeoJSON closes a ring with its first point.
        geometry = {"type": "Polygon", "coordinates": [[*square, square[0]]]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    # NaN is not JSON.
    return json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False)


def _both(score_map: ScoreMap) -> list[tuple[str, Any]]:
    return [("score", score_map.values), ("rank", score_map.ranks)]


# Names of files for classes, whatever the classes are called.


def file_names(maps: Sequence[ScoreMap]) -> dict[str, str]:
    """Map the title of every map to a distinct file name without suffix, ``leaf_DCIS``.

    Names with other characters than those of words, or equal but for their case (which some file
    systems ignore), get a few digits of their hash.
    """
    plain = {m.title: _plain(f"{m.level}_{m.name}") for m in maps}
    lower = [name.lower() for name in plain.values()]
    return {
        # Two classes may differ in case only.
        title: name if lower.count(name.lower()) == 1 else f"{name}-{_digest(title)}"
        for title, name in plain.items()
    }


def _plain(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]
