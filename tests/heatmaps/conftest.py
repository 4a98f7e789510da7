"""Runs that several tests of this folder look at."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console
from run_requests import request, run_grid

from mil_bench.datasets.load import load_dataset
from mil_bench.runs.directory import run_directories
from mil_bench.runs.load_run import LoadedRun, load_run


@pytest.fixture(scope="session")
def digit_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedRun]:
    """Method -> its run on digit-bags: HMIL, ABMIL and the mean, hardly trained."""
    folder = tmp_path_factory.mktemp("digits")
    methods = ["hmil", "abmil", "mean"]
    ask = request(folder, dataset="digit-bags", methods=methods, settings={"epochs": "1"})
    run_grid(*ask, Console(file=io.StringIO()))
    data, cpu = load_dataset("digit-bags"), torch.device("cpu")
    return {p.read_spec().method: load_run(p, data, cpu) for p in run_directories(folder)}
