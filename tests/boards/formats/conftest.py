"""One board with runs of three methods, its report and its files."""

from __future__ import annotations

import pytest
from paired_runs import paired_predictions, write_grid
from report_texts import reports_of
from run_folders import fail, finish, make_spec

from mil_bench.boards.formats.folder import write_reports


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Two methods, two seeds, three folds; ``hmil`` has a coarse head; ``max`` lacks runs."""
    folder = tmp_path_factory.mktemp("runs")
    write_grid(folder, {"abmil": 1}, folds=3)
    for fold in range(3):
        for seed in range(2):
            p = paired_predictions(3, fold, 90 + seed, heads=("coarse",))
            finish(folder, make_spec("hmil", seed=seed, fold=fold), p)
    finish(folder, make_spec("max"), paired_predictions(1, 0, 70))
    fail(folder, make_spec("max", fold=1), "out of memory; use bf16")
    return folder


@pytest.fixture(scope="session")
def report(runs):
    (found,) = reports_of(runs)
    return found


@pytest.fixture(scope="session")
def folder(report, tmp_path_factory):
    """The files of the report."""
    return write_reports([report], tmp_path_factory.mktemp("out"))[0].parent
