"""Tissue masks: the steps against other implementations, and what presets find."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from slide_writer import glass, paint

from mil_bench.cli.options import OPTIONS
from mil_bench.extraction import tissue
from mil_bench.extraction.tissue import EVERYTHING, PRESETS, otsu, tissue_mask


def mask_of(image: np.ndarray, preset: str = "default") -> np.ndarray:
    return tissue_mask(Image.fromarray(image), PRESETS[preset])


@pytest.mark.parametrize("seed", range(5))
def test_otsu_has_the_least_variance_within_both_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dark, bright = rng.normal(40, 15, 300), rng.normal(150, 25, 200)
    values = np.clip(np.concatenate([dark, bright]), 0, 255).astype(np.uint8)

    def within(t: int) -> float:
        sides = values[values <= t], values[values > t]
        return sum(len(side) * side.astype(float).var() for side in sides if len(side))

    assert within(otsu(values)) == pytest.approx(min(within(t) for t in range(255)))


def test_otsu_of_one_value_does_not_divide_by_zero() -> None:
    assert otsu(np.full((4, 4), 7, np.uint8)) == 0


@pytest.mark.parametrize("size", [3, 7, 11])
def test_the_majority_of_a_mask_is_the_mask_of_the_median(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 256, (60, 50)).astype(np.uint8)
    median = ndimage.median_filter(values, size=size, mode="reflect")
    np.testing.assert_array_equal(tissue._median(values > 120, size), median > 120)


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_closing_is_scipys_and_shifts_nothing(size: int) -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:18, 10:30] = mask[20:30, 10:30] = True
    closed = tissue._closed(mask, size)
    np.testing.assert_array_equal(closed, ndimage.binary_closing(mask, np.ones((size, size))))
    assert closed[mask].all()


def test_saturation_is_that_of_the_hsv_colour_model() -> None:
    image = np.random.default_rng(0).integers(60, 256, (30, 30, 3)).astype(np.uint8)
    hsv = np.asarray(Image.fromarray(image).convert("HSV"))[..., 1].astype(int)
    assert np.abs(tissue._saturation(Image.fromarray(image)).astype(int) - hsv).max() <= 1


def test_black_pixels_have_no_saturation() -> None:
    image = np.array([[[30, 0, 0], [3, 0, 2], [200, 0, 0]]], np.uint8)
    assert tissue._saturation(Image.fromarray(image)).tolist() == [[0, 0, 255]]


def test_painted_tissue_is_found_to_within_the_reach_of_the_filters() -> None:
    image = paint(glass(200, 300), "pink", (80, 50, 200, 150))
    truth = np.zeros((200, 300), bool)
    truth[50:150, 80:200] = True
    mask = mask_of(image)
    unsure = ndimage.binary_dilation(truth, iterations=5) & ~ndimage.binary_erosion(
        truth, iterations=5
    )
    np.testing.assert_array_equal(mask[~unsure], truth[~unsure])


@pytest.mark.parametrize("preset", PRESETS)
def test_glass_is_no_tissue_under_any_preset(preset: str) -> None:
    assert not mask_of(glass(150, 150), preset).any()


def test_a_slide_full_of_tissue_is_tissue_everywhere() -> None:
    image = paint(glass(200, 200), "pink", (0, 0, 200, 200))
    image[100:] = paint(glass(100, 200), "purple", (0, 0, 200, 100))
    assert mask_of(image).mean() > 0.95


def test_small_pieces_and_small_holes_do_not_count() -> None:
    image = paint(glass(300, 300), "pink", (50, 50, 250, 250))
    image[145:153, 145:153] = glass(8, 8)  # 64 x 64 um
    image[100:130, 100:130] = glass(30, 30)  # 240 x 240 um
    paint(image, "purple", (5, 5, 12, 12))
    mask = mask_of(image)
    assert not mask[:20, :20].any()
    assert mask[149, 149]
    assert not mask[115, 115]


def test_pale_scattered_cells_are_found_by_the_smear_preset_only() -> None:
    image = glass(300, 300)
    cells = np.random.default_rng(1).integers(20, 280, (25, 2))
    for x, y in cells:
        image[y - 3 : y + 3, x - 3 : x + 3] = (236, 228, 240)
    assert not mask_of(image).any()
    assert mask_of(image, "smear")[cells[:, 1], cells[:, 0]].mean() > 0.9


def test_the_command_offers_every_preset() -> None:
    assert (*PRESETS, EVERYTHING) == OPTIONS["--tissue"].how["choices"]
