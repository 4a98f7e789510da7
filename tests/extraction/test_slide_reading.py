"""Opening slides, overviews, blocks of tiles: against OpenSlide used directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image
from slide_writer import glass, halved, paint, write_slide

from mil_bench.base.errors import SlideError
from mil_bench.extraction.plan import all_tiles, blocks, choose_grid
from mil_bench.extraction.reading import BlockJob, TileReader, blank
from mil_bench.extraction.slide import open_slide, overview


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    image = paint(glass(700, 900), "pink", (100, 50, 600, 500))
    return paint(image, "purple", (500, 300, 850, 650), seed=2)


@pytest.fixture(scope="module")
def path(image: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("slides") / "s.tif", image, mpp=0.25)


def read_all(path: Path, mpp: float, tile: int, pixels: int) -> dict[tuple[int, int], np.ndarray]:
    slide = open_slide(path)
    tiling = choose_grid(slide, slide.mpp or 0.25, mpp, tile)
    coords = all_tiles(slide, tiling.step)
    reader, found = TileReader(), {}
    for block in blocks(coords, tiling):
        tiles, rows, bad = reader[BlockJob(path, tiling, block, pixels)]
        assert not len(bad)
        found |= {tuple(coords[r]): t.numpy() for r, t in zip(rows.tolist(), tiles, strict=True)}
    return found


def test_a_slide_says_its_size_levels_and_resolution(path: Path) -> None:
    slide = open_slide(path)
    assert (slide.width, slide.height) == (900, 700)
    assert slide.downsamples == (1.0, 2.0)
    assert slide.mpp == pytest.approx(0.25)


def test_tiles_of_a_level_are_what_openslide_reads_there(path: Path) -> None:
    whole = openslide.OpenSlide(path)
    tiles = read_all(path, 0.5, 64, 64)
    assert len(tiles) == 28  # of 35; the others are glass
    for (x, y), tile in tiles.items():
        plain = np.asarray(whole.read_region((x, y), 1, (64, 64)).convert("RGB"))
        np.testing.assert_array_equal(tile, plain)


def test_without_the_level_tiles_are_means_of_the_finer_one(
    image: np.ndarray, tmp_path: Path
) -> None:
    path = write_slide(tmp_path / "flat.tif", image, mpp=0.25, levels=1)
    small = halved(image)
    for (x, y), tile in read_all(path, 0.5, 64, 64).items():
        plain = small[y // 2 : y // 2 + 64, x // 2 : x // 2 + 64].astype(int)
        assert np.abs(tile.astype(int) - plain).max() <= 1


def test_a_block_is_cut_into_the_tiles_that_single_reads_give(path: Path) -> None:
    slide = open_slide(path)
    for (x, y), tile in read_all(path, 0.25, 100, 80).items():
        alone = slide.read(0, (x, y), (100, 100)).resize((80, 80), Image.Resampling.BOX)
        assert np.abs(tile.astype(int) - np.asarray(alone).astype(int)).max() <= 1


def test_a_png_is_read_like_the_slide_it_was_made_of(image: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(image).save(tmp_path / "s.png")
    slide = open_slide(tmp_path / "s.png")
    assert (slide.width, slide.height, slide.mpp) == (900, 700, None)
    region = slide.read(0, (850, 600), (100, 200))
    np.testing.assert_array_equal(np.asarray(region)[:100, :50], image[600:, 850:])
    assert (np.asarray(region)[:, 50:] == 255).all()


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:20] = (10, 20, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "s.png")
    region = np.asarray(open_slide(tmp_path / "s.png").read(0, (0, 0), (40, 40)))
    assert (region[:20] == (10, 20, 30)).all()
    assert (region[20:] == 255).all()


def test_an_overview_is_the_same_whatever_it_is_pieced_together_from(
    path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = open_slide(path)
    whole = overview(slide, 10.0)
    assert whole.image.size == (90, 70)
    means = image.reshape(70, 10, 90, 10, 3).mean((1, 3))
    assert np.abs(np.asarray(whole.image) - means).max() <= 2
    monkeypatch.setattr("mil_bench.extraction.slide.PIECE", 100)
    assert overview(slide, 10.0).image.tobytes() == whole.image.tobytes()


def test_glass_and_black_are_blank_and_tissue_is_not(image: np.ndarray) -> None:
    tiles = np.stack(
        [
            glass(64, 64),
            np.zeros((64, 64, 3), np.uint8),
            paint(glass(64, 64), "pink", (0, 0, 64, 64)),
            paint(glass(64, 64), "purple", (0, 0, 16, 16)),
        ]
    )
    assert blank(tiles).tolist() == [True, True, False, False]


def test_what_is_no_slide_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.svs").touch()
    (tmp_path / "words.svs").write_text("no slide")
    (tmp_path / "words.png").write_text("no image")
    for name, found in (
        ("gone.svs", "no such file"),
        ("empty.svs", "0 bytes"),
        ("words.svs", "not a slide that OpenSlide can read"),
        ("words.png", "damaged or not an image"),
    ):
        with pytest.raises(SlideError, match=found) as error:
            open_slide(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


def test_72_dpi_is_not_taken_for_the_resolution_of_a_slide(
    image: np.ndarray, tmp_path: Path
) -> None:
    assert open_slide(write_slide(tmp_path / "s.tif", image, mpp=25400 / 72)).mpp is None
