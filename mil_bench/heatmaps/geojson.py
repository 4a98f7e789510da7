"""Tiles with their scores as GeoJSON that QuPath opens (File > Import objects from file)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mil_bench.heatmaps.places import Places
from mil_bench.heatmaps.relevance import ScoreMap

TILE = "tile"  # a kind of object that QuPath counts among the detections


def tiles_geojson(
    maps: Sequence[ScoreMap], places: Places, marks: Sequence[str] | None = None
) -> str:
    """A ``FeatureCollection`` of squares in level-0 pixels, y down, rows in the order of the bag.

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
            # a list of pairs is read by every QuPath, an object only from 0.4 on
            "measurements": [{"name": name, "value": float(v[row])} for name, v in columns],
        }
        if marks is not None:
            properties["classification"] = {"name": marks[row]}
        geometry = {"type": "Polygon", "coordinates": [[*square, square[0]]]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False)


def _both(one: ScoreMap) -> list[tuple[str, Any]]:
    return [("score", one.values), ("rank", one.ranks)]
