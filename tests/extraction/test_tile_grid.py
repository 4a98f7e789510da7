"""Which tiles there are, how they are read, and how they are put into blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.base.errors import SlideError
from mil_bench.extraction.plan import TileGrid, all_tiles, blocks, choose_grid, tissue_share


@dataclass
class Shape:
    width: int = 4000
    height: int = 3000
    downsamples: tuple[float, ...] = (1.0, 4.0001, 16.002)


@pytest.mark.parametrize(
    ("slide_mpp", "mpp", "step", "level"),
    [
        (0.5, 0.5, 256, 0),
        (0.499, 0.5, 256, 0),  # called 20x: nothing is resized
        (0.25, 0.5, 512, 0),
        (0.252, 0.5, 512, 0),
        (0.25, 1.0, 1024, 1),  # the second level has it exactly
        (0.25, 1.5, 1536, 1),
        (0.23, 0.5, 557, 0),
        (0.55, 0.5, 233, 0),
    ],
)
def test_tiles_have_whole_level_0_pixels_and_come_from_the_best_level(
    slide_mpp: float, mpp: float, step: int, level: int
) -> None:
    tiling = choose_grid(Shape(), slide_mpp, mpp, 256)
    assert (tiling.step, tiling.level) == (step, level)
    assert tiling.pixels == pytest.approx(step / Shape.downsamples[level])


def test_a_slide_that_is_too_coarse_is_refused_with_its_own_resolution() -> None:
    with pytest.raises(SlideError, match=r"coarser than the requested 0.5.*--mpp 1"):
        choose_grid(Shape(), 1.0, 0.5, 256)


def test_a_tile_larger_than_the_slide_is_refused() -> None:
    with pytest.raises(SlideError, match="4000 x 3000 pixels, less than one tile of 4096"):
        choose_grid(Shape(), 0.25, 1.0, 1024)


def test_all_tiles_are_whole_and_row_after_row() -> None:
    coords = all_tiles(Shape(1100, 600), 256)
    assert coords.tolist() == [[x, y] for y in (0, 256) for x in (0, 256, 512, 768)]


def test_the_share_of_tissue_is_the_mean_of_the_mask() -> None:
    mask = np.random.default_rng(0).random((40, 64)) < 0.4
    coords = all_tiles(Shape(64 * 16, 40 * 16), 128)
    share = tissue_share(mask, 16.0, coords, 128)
    expected = [mask[y // 16 : y // 16 + 8, x // 16 : x // 16 + 8].mean() for x, y in coords]
    np.testing.assert_allclose(share, expected)


def test_a_tile_smaller_than_a_mask_pixel_has_the_share_of_that_pixel() -> None:
    mask = np.array([[True, False]])
    share = tissue_share(mask, 32.0, np.array([[0, 0], [8, 16], [40, 0]]), 16)
    assert share.tolist() == [1, 1, 0]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(0, 10_000), st.integers(100, 3000))
def test_every_tile_is_in_one_block_at_its_place(count: int, seed: int, step: int) -> None:
    places = np.random.default_rng(seed).permutation(13 * 11)[:count]
    coords = np.sort(places)[:, None] // [1, 13] % [13, 999] * step
    tiling = TileGrid(step, 0, 1.0)
    seen = []
    for block in blocks(coords, tiling):
        assert 1 <= max(block.columns, block.rows) <= tiling.block
        assert (block.places.min(0) == 0).all()
        assert tuple(block.places.max(0) + 1) == (block.columns, block.rows)
        np.testing.assert_array_equal(
            np.array(block.corner) + block.places * step, coords[block.tiles]
        )
        seen += block.tiles.tolist()
    assert sorted(seen) == list(range(count))


def test_what_is_read_at_once_stays_small_without_a_pyramid() -> None:
    assert TileGrid(256, 0, 1.0).block == 4
    assert TileGrid(2048, 0, 1.0).block == 2
    assert TileGrid(9000, 0, 1.0).block == 1
