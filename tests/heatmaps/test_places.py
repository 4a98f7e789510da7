"""Squares of patches, and how they come back from GeoJSON and CSV."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from mil_bench.bags.store import store_of_arrays
from mil_bench.contract.store import Tiling
from mil_bench.heatmaps.exports import scores_csv, tiles_geojson
from mil_bench.heatmaps.patch_scores import ScoreMap
from mil_bench.heatmaps.patches import by_index, outline, places_of

XY = np.array([[0.0, 512.0], [512.0, 512.0], [512.0, 1024.0]])
MAP = ScoreMap("leaf", "=IC", "attention", True, np.array([0.5, 0.2, 0.3]))


def store(xy, tiling=None):
    bags = {"s": np.ones((3, 2), np.float32)}
    return store_of_arrays("e", bags, None if xy is None else {"s": xy}, tiling)


def test_corners_are_top_left_whatever_the_anchor():
    corner = places_of(store(XY, Tiling(patch_size=512)), "s")
    centre = places_of(store(XY + 256, Tiling(anchor="center", patch_size=512)), "s")
    np.testing.assert_array_equal(corner.squares, centre.squares)
    assert corner.squares[1].tolist() == [[512, 512], [1024, 512], [1024, 1024], [512, 1024]]


def test_um_become_pixels_of_a_slide_whose_mpp_is_known():
    um = places_of(store(XY / 2, Tiling(unit="um", patch_size=256)), "s")
    assert um.in_pixels(None) is None
    there = um.in_pixels(0.5)
    np.testing.assert_array_equal(there.squares[0], [[0, 512], [512, 512], [512, 1024], [0, 1024]])


def test_an_unknown_size_is_the_step_of_the_grid_or_the_distance_of_neighbours():
    grid = places_of(store(XY), "s")
    assert (grid.side, grid.note) == (
        512,
        "the patch size is unknown: the grid step is drawn",
    )
    cells = places_of(store(np.array([[0.0, 0.0], [3.0, 4.0], [10.0, 4.0]])), "s")
    assert cells.side == 5  # nearest distances 5, 5, 7
    assert "median distance" in cells.note


def test_without_coordinates_patches_stand_row_by_row():
    places = places_of(store(None), "s")
    assert places.corners.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert (places.unit, places.in_pixels(0.5)) == ("index", None)


def test_the_outline_of_neighbours_has_no_side_between_them():
    square = by_index(4).squares  # 2 x 2
    assert len(outline(square)) == 8
    assert len(outline(square[[0, 3]])) == 8  # they touch in a corner
    pair = {tuple(map(tuple, side)) for side in outline(square[:2]).tolist()}
    assert pair == {
        ((0, 0), (1, 0)), ((1, 0), (2, 0)), ((0, 1), (1, 1)), ((1, 1), (2, 1)),
        ((0, 0), (0, 1)), ((2, 0), (2, 1)),
    }  # fmt: skip
    assert outline(square[:0]).shape == (0, 2, 2)


@pytest.mark.parametrize("marks", [None, ["background", "IC", "IC"]])
def test_geojson_holds_closed_squares_scores_ranks_and_known_classes(marks):
    places = places_of(store(XY, Tiling(patch_size=512)), "s")
    content = json.loads(tiles_geojson([MAP], places, marks))
    assert content["type"] == "FeatureCollection"
    second = content["features"][1]
    assert second["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[512, 512], [1024, 512], [1024, 1024], [512, 1024], [512, 512]]],
    }
    assert second["properties"]["measurements"] == [
        {"name": "leaf: =IC score", "value": 0.2},
        {"name": "leaf: =IC rank", "value": pytest.approx(1 / 6)},
    ]
    known = second["properties"].get("classification")
    assert known == (None if marks is None else {"name": "IC"})


def test_csv_keeps_raw_scores_and_runs_no_formula():
    places = places_of(store(XY, Tiling(patch_size=512)), "s")
    table = pd.read_csv(io.StringIO(scores_csv([MAP], places, ["=1+1", "IC", "IC"])))
    names = ["row", "x_level0_px", "y_level0_px", "label", "leaf:=IC", "leaf:=IC rank"]
    assert list(table) == names
    assert table["label"][0] == "'=1+1"
    np.testing.assert_array_equal(table["leaf:=IC"], MAP.values)
    np.testing.assert_array_equal(table["y_level0_px"], XY[:, 1])
