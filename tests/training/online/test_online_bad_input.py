"""What cannot be trained on is refused before anything is run, in one sentence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pixel_cohort import TILE, opened
from slide_writer import glass, paint, write_slide
from test_fine_tuned import CPU, fine_tuned
from toy_grid import toy_dataset

from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import MilBenchError
from mil_bench.contract.spec import BlockTraining
from mil_bench.extraction.settings import SlideSource
from mil_bench.training.online.pixels import FeatureOrigin
from mil_bench.training.online.prepare import _weights, check_blocks, check_slides, pixels_of
from mil_bench.training.online.prepare import fine_tuned as make


def refusal(dataset, blocks: int = 1) -> str:
    with pytest.raises(MilBenchError) as error:
        check_blocks(BlockTraining(blocks=blocks), dataset)
    assert "\n" not in str(error.value)
    return str(error.value)


def copied(cohort: Path, folder: Path) -> Path:
    shutil.copytree(cohort.parent, folder)
    return folder / cohort.name


def test_a_good_dataset_is_not_refused(cohort):
    check_blocks(BlockTraining(blocks=6), opened(cohort))


def test_features_that_come_from_no_files():
    assert "have no feature files; use --online adapter" in refusal(toy_dataset())


def test_features_without_coordinates(cohort):
    dataset = opened(cohort)
    bare = replace(dataset, store=replace(dataset.store, coords=None))
    assert "have no coordinates" in refusal(bare)


def test_features_of_other_tools(cohort, tmp_path):
    toml = copied(cohort, tmp_path / "copy")
    for file in (toml.parent / "features").rglob("*.h5"):
        with h5py.File(file, "a") as content:
            del content.attrs["mil_bench_extraction"]
    assert "has no record of its slide and extraction" in refusal(opened(toml))


def test_more_blocks_than_the_encoder_has(cohort):
    said = refusal(opened(cohort), 7)
    assert "blocks=7: encoder test_vit-random has 6 blocks" in said


def test_standardised_features(cohort):
    assert "standardize" in refusal(replace(opened(cohort), standardize=True))


def test_slides_that_are_gone_and_found_again(cohort, tmp_path):
    toml = copied(cohort, tmp_path / "copy")
    for table in (toml.parent / "features").rglob("slides.csv"):
        table.unlink()
    assert "6 of 6 slides are missing (first: s00" in refusal(opened(toml))
    elsewhere = (toml.parent / "slides").rename(tmp_path / "elsewhere")
    check_blocks(BlockTraining(blocks=1), opened(toml, slides=elsewhere))


def test_a_slide_of_another_size(cohort, tmp_path):
    slides = shutil.copytree(cohort.parent / "slides", tmp_path / "slides")
    with (slides / "s03.tif").open("ab") as file:
        file.write(b"more")
    assert "s03.tif has" in refusal(opened(cohort, slides=slides))


def test_another_picture_in_a_slide_of_the_same_name(cohort, tmp_path):
    dataset = opened(cohort)
    pixels = pixels_of(dataset)
    other = paint(glass(256, 256), "purple", (0, 0, 192, 192), 5)
    path = write_slide(tmp_path / "s00.tif", other)
    pixels.sources["s00"] = SlideSource("s00", path)
    method = fine_tuned(blocks=1)
    check_slides(method, pixels, "s02")
    with pytest.raises(MilBenchError, match="do not reproduce the stored features of s00"):
        check_slides(method, pixels, "s00")


def test_weights_that_are_not_given_or_not_those_of_the_features(cohort, tmp_path):
    made = FeatureOrigin("test_vit", "sha256:0000", 0.5, TILE)
    dataset = opened(cohort)
    with pytest.raises(
        MilBenchError, match=r"requires the weights of encoder test_vit; .* --weights"
    ):
        _weights(dataset, made)
    file = tmp_path / "weights.pth"
    torch.save({"x": torch.zeros(1)}, file)
    with pytest.raises(MilBenchError, match="is not the file that the features were"):
        _weights(replace(dataset, weights=file), made)
    with pytest.raises(MilBenchError, match="there is no such checkpoint"):
        _weights(replace(dataset, weights=tmp_path / "none.pth"), made)


def test_an_encoder_that_nobody_knows(cohort):
    dataset = opened(cohort)
    with pytest.raises(MilBenchError, match="unknown encoder 'mine'"):
        _weights(dataset, FeatureOrigin("mine", "sha256:0000", 0.5, TILE))


def test_the_weights_of_a_fine_tuned_method_are_those_of_the_features(cohort):
    dataset = opened(cohort)
    inner = fine_tuned().inner
    check_slides(
        make(inner, BlockTraining(blocks=1), dataset, CPU, "32"), pixels_of(dataset), "s00"
    )


def test_a_store_in_memory_has_no_files():
    store = store_of_arrays("x", {"a": np.zeros((2, 3), np.float32)})
    assert not store.files
