"""All files of a slide, with the slide at hand and without; the page."""

import io
import json
from html.parser import HTMLParser

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console
from run_requests import request, run_grid

from mil_bench.base.errors import UnknownNameError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_dataset
from mil_bench.heatmaps.backdrop import backdrop_of
from mil_bench.heatmaps.make import HeatmapRequest, write_heatmaps
from mil_bench.runs.directory import run_directories
from mil_bench.runs.load_run import load_run

SIDE = 64  # of a tile; slides are 4 x 3 tiles
EVIL = "<b>&"  # the name of a class
TOML = f"""name = "own"
labels = "labels.csv"
features = "features"
instances = "instances.csv"
[tree]
"{EVIL}" = ["x", "y"]
high = ["z"]
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Fifteen slides of 12 tiles; the dark tile is row 5, at column 1 and row 1."""
    root = tmp_path_factory.mktemp("cohort")
    xy = np.array([(x, y) for y in range(3) for x in range(4)]) * SIDE
    rng = np.random.default_rng(0)
    (root / "features").mkdir()
    (root / "slides").mkdir()
    for i in range(15):
        with h5py.File(root / "features" / f"s{i}.h5", "w") as file:
            file["features"] = rng.normal(size=(12, 6)).astype(np.float32)
            file["coords"] = xy
            file["coords"].attrs["patch_size_level0"] = SIDE
    pixels = np.full((3 * SIDE, 4 * SIDE, 3), 240, np.uint8)
    pixels[SIDE : 2 * SIDE, SIDE : 2 * SIDE] = 10
    Image.fromarray(pixels).save(root / "slides" / "s0.png")
    labels = "".join(f"s{i},{'xyz'[i % 3]}\n" for i in range(15))
    (root / "labels.csv").write_text("slide_id,label\n" + labels)
    (root / "instances.csv").write_text("slide_id,row,label\ns0,5,x\n")
    (root / "own.toml").write_text(TOML)
    return root


@pytest.fixture(scope="module")
def run(cohort):
    """HMIL, hardly trained."""
    ask = request(
        cohort / "runs",
        dataset=str(cohort / "own.toml"),
        options=DatasetOptions(cache=cohort / "cache"),
        methods=["hmil"],
        settings={"epochs": "2"},
    )
    run_grid(*ask, Console(file=io.StringIO()))
    data = load_dataset(str(cohort / "own.toml"), DatasetOptions(cache=cohort / "cache"))
    return load_run(run_directories(cohort / "runs")[0], data, torch.device("cpu"))


@pytest.fixture(scope="module")
def over_the_slide(run, cohort):
    """One class of s0, with its slide."""
    return write_heatmaps(run, "s0", HeatmapRequest("leaf", "x", slides=cohort / "slides"))


@pytest.fixture(scope="module")
def on_a_grid(run):
    """All maps of s1, without its slide."""
    return write_heatmaps(run, "s1", HeatmapRequest())


def test_with_the_slide_there_are_pictures_patches_and_geojson_of_its_pixels(run, over_the_slide):
    written = over_the_slide
    assert written.folder == run.directory.path / "heatmaps" / "s0"
    assert [p.name for p in written.pictures] == [
        "leaf_x.png",
        "leaf_x_patches.png",
        "hierarchy.png",
    ]
    assert all(Image.open(p).size[0] > 300 for p in written.pictures)
    content = json.loads((written.folder / "tiles.geojson").read_text())
    dark = content["features"][5]
    assert dark["geometry"]["coordinates"][0][0] == [SIDE, SIDE]
    assert dark["geometry"]["coordinates"][0][2] == [2 * SIDE, 2 * SIDE]
    assert dark["properties"]["classification"] == {"name": "x"}
    with torch.no_grad():
        attention = run.method(run.batch("s0")).attention["leaf"][5, 0]
    values = {m["name"]: m["value"] for m in dark["properties"]["measurements"]}
    assert values["leaf: x score"] == pytest.approx(float(attention))
    table = pd.read_csv(written.folder / "scores.csv")
    np.testing.assert_allclose(table["leaf:x"].sum(), 1, atol=1e-5)
    assert table.loc[5, ["x_level0_px", "y_level0_px", "label"]].tolist() == [SIDE, SIDE, "x"]
    assert written.notes == ()


def test_a_tile_is_the_pixels_at_its_place(cohort):
    with backdrop_of("s0", cohort / "slides") as backdrop:
        dark = np.asarray(backdrop.tile(np.array([SIDE, SIDE], float), SIDE))
        pale = np.asarray(backdrop.tile(np.array([0.0, SIDE]), SIDE))
    assert dark.shape == (96, 96, 3)
    assert (dark.max(), pale.min()) == (10, 240)


def test_without_the_slide_there_is_a_grid_and_what_is_lacking_is_said(on_a_grid):
    names = [p.name for p in on_a_grid.pictures]
    assert names == [
        "coarse_-b.png", "coarse_high.png", "leaf_x.png", "leaf_y.png", "leaf_z.png",
        "hierarchy.png",
    ]  # fmt: skip
    assert on_a_grid.notes == (
        "the model was trained on this slide",
        "no pixels of patches are available: pass --slides for contact sheets",
    )


def test_scores_on_request_stand_in_a_folder_of_their_own(run):
    written = write_heatmaps(run, "s2", HeatmapRequest("leaf", "z", "occlusion"))
    assert written.folder == run.directory.path / "heatmaps" / "s2" / "occlusion"
    assert written.sources == ("occlusion (change of the log odds)",)


@pytest.mark.usefixtures("over_the_slide", "on_a_grid")
def test_the_page_shows_every_slide_and_escapes_what_it_says(run):
    home = run.directory.path / "heatmaps"
    page = (home / "index.html").read_text()
    assert "coarse: &lt;b&gt;&amp;" in page
    assert "<b>" not in page
    places: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            places.extend(v for k, v in attrs if k in ("src", "href"))

    Links().feed(page)
    assert {"s0/leaf_x_patches.png", "s1/coarse_-b.png", "s0/scores.csv"} <= set(places)
    assert all((home / place).is_file() for place in places)
    summary = json.loads((home / "s0" / "summary.json").read_text())
    assert (summary["label"], summary["patches"]) == ("x", 12)
    assert sum(summary["probabilities"]["leaf"].values()) == pytest.approx(1)


def test_a_slide_without_a_file_names_the_nearest(run, cohort):
    with pytest.raises(UnknownNameError, match=r"unknown slide file 's1' of .*slides"):
        write_heatmaps(run, "s1", HeatmapRequest(slides=cohort / "slides"))


def test_digits_are_pictures_of_themselves(digit_runs):
    written = write_heatmaps(digit_runs["mean"], "bag001", HeatmapRequest("leaf", "nine"))
    assert "leaf_nine_patches.png" in [p.name for p in written.pictures]
    assert written.sources == ("own relevance of its leaves, summed", "own relevance")
