"""Pages for the tests of the leaderboard page, and the browser that opens them."""

from __future__ import annotations

import csv
import io
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prediction_cases import BRACS, random_predictions
from run_folders import fail, finish, make_spec

from mil_bench.base.csv_safety import unescape
from mil_bench.base.finding import Note
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import Board, BoardId
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.report import Report, report_of
from mil_bench.boards.tables.table import Column, Number, Row, Table, score_column
from mil_bench.evaluation.metrics import Score

HOSTILE = "</script><img src=x onerror=\"document.title='caught'\">&<b>"
SKILLS = {"abmil": 1.0, "hmil": 3.0, "clam-mb": 2.8, "mean": 0.2}


def small_reports(folder):
    """Four methods, two seeds, two folds, one failed run, on a tree of two levels."""
    runs = folder / "runs"
    for seed in (0, 1):
        for fold in (0, 1):
            for method, skill in SKILLS.items():
                spec = make_spec(method, seed=seed, fold=fold)
                found = _predictions(seed, fold, skill, ("coarse",) if method == "hmil" else ())
                finish(runs, spec, found, parameters=len(method) * 1000)
    fail(runs, make_spec("max"), error=HOSTILE)
    return [report_of(board) for board in build_boards(collect(runs))]


def _predictions(seed, fold, skill, heads):
    """Every method predicts the same slides of a fold, two of a patient."""
    labels = np.random.default_rng(fold).integers(0, len(BRACS.leaves), 60)
    number = int(100 * skill) + 10 * seed + fold
    found = random_predictions(BRACS, seed=number, skill=skill, heads=heads, labels=labels)
    slides = np.array([f"f{fold}-s{i}" for i in range(60)])
    groups = np.array([f"f{fold}-p{i // 2}" for i in range(60)])
    return replace(found, slide_ids=slides, groups=groups)


def hostile_report(folder):
    """A board whose dataset, classes and encoder are called like markup."""
    leaves = ["plain", HOSTILE]
    tree = replace(BRACS, name=HOSTILE, paths=(("up", leaves[0]), (f"{HOSTILE}!", leaves[1])))
    for method in ("abmil", "hmil"):
        finish(folder / "runs", make_spec(method, tree=tree, encoder=HOSTILE), skill=1.0)
    (board,) = build_boards(collect(folder / "runs"))
    report = report_of(board)
    return replace(report, verdict=HOSTILE, caveats=(Note("data", HOSTILE),), problems=(HOSTILE,))


def long_report(rows):
    """A board with one table of many rows, made by hand."""
    board = Board(BoardId("simulated", "long ελληνικά 病理"), None, (), ())
    table = Table(
        "overall",
        "Overall",
        (Column("method", "Method"), score_column(Score("accuracy"))),
        tuple(
            Row(f"m{i}", {"method": f"m{i}", "accuracy": Number((i * 7919 % rows) / rows)})
            for i in range(rows)
        ),
        ("method",),
        ("accuracy",),
    )
    return Report(board, Analysis(board, {}, {}, "none"), (table,), "", (), ())


@contextmanager
def chromium():
    """A browser, or a skip that says what is missing."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as p:
        names = ("chromium", "chromium-browser", "google-chrome", "chrome")
        own = Path(p.chromium.executable_path)
        path = next(filter(None, map(shutil.which, names)), str(own) if own.exists() else None)
        if path is None:
            pytest.skip("no Chromium here; .ci/run installs one")
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def column_of(page, table, title):
    """Texts of a column, what only screen readers hear left out."""
    titles = page.locator(f"#table-{table} thead th button").all_inner_texts()
    i = [t.split(" ▲")[0].split(" ▼")[0] for t in titles].index(title) + 1
    cells = page.locator(f"#table-{table} tbody tr > :nth-child({i})")
    return cells.evaluate_all(
        "cells => cells.map((cell) => (cell.querySelector('.value') ?? cell).textContent)"
    )


def saved(page, button):
    """The text of the file that a button saves."""
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_text(encoding="utf-8")


def records(text):
    return [
        {key: unescape(cell) for key, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]
