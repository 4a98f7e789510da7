"""From a slide to its feature file: contents, layout, pictures, summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import openslide
import pandas as pd
import pytest
import torch
from extraction_requests import SETTINGS, by_name, run_extraction, tiny_encoder, told_extraction
from PIL import Image
from slide_writer import glass, paint, write_slide

from mil_bench.bags.formats.folder import choose
from mil_bench.extraction.outcome import ExtractionOutcome, SlideOutcome, write_summary

BOX = (128, 192, 576, 640)  # 7 x 7 tiles of 64


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    for name, kind in (("one", "pink"), ("two", "purple")):
        image = paint(glass(900, 700), kind, BOX)
        image[256:320, 256:320] = glass(64, 64)  # too small to be a hole in the mask
        write_slide(folder / f"{name}.tif", image)
    return folder


@pytest.fixture(scope="module")
def extracted(
    slides: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ExtractionOutcome]:
    out = tmp_path_factory.mktemp("features")
    return out, run_extraction(slides, out, batch=20)


def file_of(out: Path, name: str = "one") -> Path:
    return out / "20x_64px_0px_overlap" / "features_test_vit-random" / f"{name}.h5"


def test_every_tile_of_tissue_is_extracted_and_blank_ones_are_not(
    extracted: tuple[Path, ExtractionOutcome],
) -> None:
    out, outcome = extracted
    assert outcome.ok
    one = by_name(outcome)["one"]
    assert (one.status, one.tiles, one.blank, one.bad) == ("done", 48, 1, 0)
    with h5py.File(file_of(out)) as file:
        coords = file["coords"][:]
    expected = [[x, y] for y in range(192, 640, 64) for x in range(128, 576, 64)]
    expected.remove([256, 256])
    assert coords.tolist() == expected


def test_features_are_those_of_a_plain_loop_over_tiles(
    extracted: tuple[Path, ExtractionOutcome], slides: Path
) -> None:
    whole = openslide.OpenSlide(slides / "two.tif")
    encoder = tiny_encoder()
    with h5py.File(file_of(extracted[0], "two")) as file:
        features, coords = file["features"][:], file["coords"][:]
    for row in (0, 11, 47):
        x, y = (int(c) for c in coords[row])
        tile = whole.read_region((x, y), 0, (64, 64)).convert("RGB")
        tile = tile.resize((160, 160), Image.Resampling.BILINEAR)
        image = torch.from_numpy(np.array(tile)).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            expected = encoder.network((image[None] - 0.5) / 0.5).numpy()[0]
        np.testing.assert_allclose(features[row], expected, atol=2e-5)


def test_files_look_like_tridents_but_are_contiguous(
    extracted: tuple[Path, ExtractionOutcome],
) -> None:
    with h5py.File(file_of(extracted[0])) as file:
        features, coords = file["features"], file["coords"]
        assert (features.shape, features.dtype, features.chunks) == ((48, 64), np.float32, None)
        assert (coords.shape, coords.dtype) == ((48, 2), np.int64)
        assert features.attrs["encoder"] == "test_vit-random"
        assert features.attrs["encoder_weights"] == "random, seed 0"
        assert features.attrs["name"] == coords.attrs["name"] == "one"
        attrs = dict(coords.attrs)
    del attrs["savetodir"], attrs["name"]
    assert attrs == {
        "patch_size": 64,
        "patch_size_level0": 64,
        "level0_magnification": 20.0,
        "target_magnification": 20.0,
        "overlap": 0,
        "level0_width": 700,
        "level0_height": 900,
        "level0_mpp": 0.5,
        "mpp": 0.5,
    }


def test_the_readers_find_the_folder_and_call_the_features_random(
    extracted: tuple[Path, ExtractionOutcome],
) -> None:
    found = choose(extracted[0])
    assert found.encoder == "test_vit-random"
    assert set(found.sources) == {"one", "two"}
    bag = found.sources["one"].read()
    assert (bag.features.shape, bag.patch_size, bag.unit) == ((48, 64), 64, "level0_px")
    assert (bag.writer, bag.anchor) == ("trident", "top_left")


def test_the_picture_shows_contour_and_grid(extracted: tuple[Path, ExtractionOutcome]) -> None:
    path = file_of(extracted[0]).parents[1] / "visualization" / "one.jpg"
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    scale = picture.shape[1] / 700
    line = picture[:, int(352 * scale)]  # through the middle of a column of tiles
    blue = line[:, 2] - line[:, 1] > 60
    edges = np.flatnonzero(blue) / scale
    tops = sorted({round(e / 64) * 64 for e in edges})
    assert set(tops) >= set(range(256, 577, 64))


def test_the_summary_says_how_and_the_table_what(extracted: tuple[Path, ExtractionOutcome]) -> None:
    folder = file_of(extracted[0]).parent
    text = (folder / "summary.md").read_text()
    assert "2 extracted, 0 done before, 0 incomplete, 0 failed. 96 tiles" in text
    for part in ("test_vit-random", "random, seed 0", "64 px at 0.5 um per pixel"):
        assert part in text
    assert "| licence of the weights | none (random weights) |" in text
    table = pd.read_csv(folder / "slides.csv").set_index("name")
    assert table.loc["one", ["status", "tiles", "blank", "bad"]].tolist() == ["done", 48, 1, 0]


def test_the_summary_of_one_slide_has_no_median_and_real_weights_have_a_licence(
    tmp_path: Path,
) -> None:
    alone = ExtractionOutcome((SlideOutcome("one", "one.tif", "done", 48),), tmp_path, 1.0)
    write_summary(alone, replace(SETTINGS, encoder="test_vit"), tiny_encoder().card)
    text = (tmp_path / "summary.md").read_text()
    assert "0 failed. 48 tiles.\n" in text
    assert "| licence of the weights | apache-2.0 |" in text


@pytest.mark.parametrize("changes", [{"batch": 7}, {"workers": 1}, {"batch": 1000}])
def test_batches_and_worker_processes_change_nothing(
    changes: dict[str, int], extracted: tuple[Path, ExtractionOutcome], slides: Path, tmp_path: Path
) -> None:
    run_extraction(slides, tmp_path, **changes)
    for name in ("one", "two"):
        with h5py.File(file_of(extracted[0], name)) as a, h5py.File(file_of(tmp_path, name)) as b:
            np.testing.assert_array_equal(a["coords"], b["coords"])
            np.testing.assert_allclose(a["features"], b["features"], atol=1e-5)


def test_a_slide_alone_has_the_same_features_as_among_others(
    extracted: tuple[Path, ExtractionOutcome], slides: Path, tmp_path: Path
) -> None:
    run_extraction(slides / "two.tif", tmp_path, batch=20)
    with (
        h5py.File(file_of(extracted[0], "two")) as a,
        h5py.File(file_of(tmp_path, "two")) as b,
    ):
        np.testing.assert_array_equal(a["features"], b["features"])


def test_a_coarser_resolution_has_its_own_folder_and_level_0_coordinates(
    slides: Path, tmp_path: Path
) -> None:
    run_extraction(slides / "one.tif", tmp_path, mpp=1.0, min_tissue=0.4)
    (path,) = tmp_path.glob("10x_64px_0px_overlap/*/one.h5")
    with h5py.File(path) as file:
        assert file["coords"].attrs["patch_size_level0"] == 128
        assert (file["coords"][:] % 128 == 0).all()
        assert len(file["features"]) == 15  # 4 x 4 without a corner, of which a quarter is tissue


def test_without_a_mask_every_tile_with_something_on_it_is_taken(
    slides: Path, tmp_path: Path
) -> None:
    outcome = run_extraction(slides / "one.tif", tmp_path, tissue="none", min_tissue=0.0)
    (one,) = outcome.slides
    assert (one.tiles, one.tiles + one.blank) == (48, 140)


def test_a_table_names_slides_and_their_resolution(slides: Path, tmp_path: Path) -> None:
    image = paint(glass(900, 700), "pink", BOX)
    Image.fromarray(image).save(tmp_path / "photo.png")
    table = pd.DataFrame({"slide": ["photo.png", slides / "one.tif"], "mpp": ["0.4", ""]})
    table.to_csv(tmp_path / "slides.csv", index=False)
    outcome = run_extraction(tmp_path / "slides.csv", tmp_path / "out")
    rows = by_name(outcome)
    assert rows["one"].tiles == 48
    with h5py.File(file_of(tmp_path / "out", "photo")) as file:
        assert file["coords"].attrs["patch_size_level0"] == 80


def test_pictures_of_an_earlier_extraction_are_no_slides(slides: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / "one.tif").write_bytes((slides / "one.tif").read_bytes())
    for _ in range(2):
        outcome = run_extraction(folder, folder / "features")
        assert [s.name for s in outcome.slides] == ["one"]


def test_what_is_printed_has_a_line_per_slide(slides: Path, tmp_path: Path) -> None:
    _, text = told_extraction(slides, tmp_path)
    first, second = text.splitlines()
    assert first.startswith("[1/2] done       one · 48 tiles, 1 blank left out")
    assert second.startswith("[2/2] done       two · 48 tiles, 1 blank left out")


def test_settings_name_tridents_folders() -> None:
    folder = SETTINGS.folder(Path("out"))
    assert folder == Path("out/20x_64px_0px_overlap/features_test_vit-random")
