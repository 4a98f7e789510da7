"""Runs with ``--online blocks``: killed and continued, opened again, better than frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from extraction_requests import SETTINGS
from pixel_cohort import TILE
from rich.console import Console
from run_requests import run_grid
from slide_writer import TISSUES, glass, write_slide

from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.spec import BlockTraining
from mil_bench.extraction.encoders.encoder import load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice
from mil_bench.extraction.extract import ExtractionRequest, extract
from mil_bench.extraction.settings import find_slides
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.find_run import DataOfRuns, find_run
from mil_bench.runs.load_run import load_run
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest
from mil_bench.runs.task import DataRequest

ONLINE = "blocks=1,tiles=3"


def words(cohort: Path, runs: Path) -> list[str]:
    data = ["--dataset", str(cohort), "--cache-dir", str(cohort.parent / "cache")]
    fixed = ["--split", "kfold-3", "--fold", "0", "--set", "epochs=4", "--device", "cpu"]
    method = ["--method", "abmil", "--online", ONLINE, "--precision", "32"]
    return [sys.executable, "-m", "mil_bench", "run", *method, *data, *fixed, "--runs", str(runs)]


def only_run(runs: Path) -> RunDirectory:
    (directory,) = run_directories(runs)
    return directory


def grid_of(toml: Path, settings: dict[str, str], online: BlockTraining | None) -> GridRequest:
    options = DatasetOptions(cache=toml.parent / "cache")
    data = DataRequest(str(toml), options, split="kfold-3")
    return GridRequest(data, ["abmil"], [0], (0,), settings, "32", online)


def made(grid: GridRequest, runs: Path) -> RunDirectory:
    """The only run of ``grid``, made in this process."""
    threads = torch.get_num_threads()
    assert not run_grid(grid, MachineRequest(runs, device="cpu"), Console(quiet=True)).failed
    torch.set_num_threads(threads)
    return only_run(runs)


@pytest.fixture(scope="module")
def whole(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of one run that was never disturbed."""
    runs = tmp_path_factory.mktemp("whole")
    made(grid_of(cohort, {"epochs": "4"}, BlockTraining(blocks=1, tiles=3)), runs)
    return runs


@pytest.mark.slow
def test_a_killed_run_goes_on_and_predicts_the_same_to_the_last_bit(cohort, whole, tmp_path):
    runs = tmp_path / "runs"
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    process = subprocess.Popen(words(cohort, runs), **quiet)
    while not any(runs.glob("*/*/*/train.csv")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert only_run(runs).status() == "interrupted"
    assert subprocess.run(words(cohort, runs), **quiet).returncode == 0
    expected = only_run(whole)
    assert only_run(runs).path.name == expected.path.name
    assert only_run(runs).predictions.read_bytes() == expected.predictions.read_bytes()


def test_the_model_of_a_run_opened_again_predicts_what_was_stored(cohort, whole):
    directory = find_run(whole, only_run(whole).path.name)
    said = DatasetOptions(cache=cohort.parent / "cache")
    dataset = DataOfRuns(whole, str(cohort), said).of(directory.read_spec())
    run = load_run(directory, dataset, torch.device("cpu"))
    stored = pd.read_csv(directory.predictions).set_index("slide_id")
    for slide in stored.index:
        with torch.inference_mode():
            found = run.method(run.batch(slide)).logits["leaf"].softmax(1)[0]
        columns = [f"leaf:{name}" for name in run.taxonomy.leaves]
        expected = torch.tensor(stored.loc[slide, columns].to_numpy(dtype="float64"))
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_a_result_counts_the_trained_blocks_as_parameters(whole):
    result, spec = only_run(whole).read_result(), only_run(whole).read_spec()
    assert spec.online == BlockTraining(blocks=1, tiles=3)
    state = torch.load(only_run(whole).checkpoint, weights_only=True)["best_model"]
    assert any(name.startswith("last.blocks/5/") for name in state)
    assert result["parameters"] == sum(tensor.numel() for tensor in state.values())


def write_stripes(root: Path, slides: int = 18) -> Path:
    """Slides of stripes in one colour, lying or standing; features of a small random ResNet."""
    side, rows = 2 * TILE, []
    for number in range(slides):
        image = glass(side + 32, side + 32, number)
        wave = 30 * np.sign(np.sin(np.arange(side) * 2 * np.pi / 8 + number))
        stripes = wave[:, None, None] if number % 2 else wave[None, :, None]
        noise = np.random.default_rng(number).normal(0, 12, (side, side, 3))
        image[:side, :side] = np.clip(np.array(TISSUES["pink"]) + stripes + noise, 0, 255)
        write_slide(root / "slides" / f"s{number:02}.tif", image)
        rows.append((f"s{number:02}", f"p{number:02}", "lying" if number % 2 else "standing"))
    pd.DataFrame(rows, columns=["slide_id", "patient_id", "label"]).to_csv(root / "labels.csv")
    encoder = load_encoder("test_resnet", WeightsChoice(random=True), torch.device("cpu"), "32")
    settings = replace(SETTINGS, encoder=encoder.name, tile=TILE)
    request = ExtractionRequest(
        find_slides(root / "slides"), root / "features", settings, workers=0
    )
    assert extract(request, encoder, Console(quiet=True)).ok
    toml = root / "stripes.toml"
    toml.write_text(
        'name = "stripes"\nlabels = "labels.csv"\nfeatures = "features"\nkind = "simulated"\n'
    )
    return toml


@pytest.mark.slow
def test_trained_blocks_learn_in_epochs_in_which_a_frozen_random_encoder_stays_at_chance(tmp_path):
    toml = write_stripes(tmp_path)
    settings = {"epochs": "16", "batch_size": "2", "lr": "1e-3"}
    logs = {}
    for name, online in {"frozen": None, "trained": BlockTraining(blocks=4, tiles=4)}.items():
        directory = made(grid_of(toml, settings, online), tmp_path / name)
        logs[name] = pd.read_csv(directory.path / "train.csv")
    for column in ("loss", "val_log_loss"):
        frozen, trained = (logs[name][column].iloc[-1] for name in ("frozen", "trained"))
        assert frozen > 0.6  # ln 2 = 0.69 knows nothing
        assert trained < 0.4
