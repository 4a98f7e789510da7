"""An ablation is a board: its judgement by other libraries, and its files, from written runs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import toy_grid
import toy_parts  # noqa: F401  (registers the method)
from page_cases import chromium
from paired_runs import paired_predictions
from rich.console import Console
from run_folders import fail, finish
from run_requests import request
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from statsmodels.stats.multitest import multipletests

from mil_bench.ablation.ablate import write_ablation
from mil_bench.ablation.variants import plan_components
from mil_bench.boards.formats.csv_files import csv_wide
from mil_bench.boards.formats.grid import grids_of
from mil_bench.boards.formats.latex import grids_latex
from mil_bench.boards.page.build import write_page
from mil_bench.boards.report import report_of
from mil_bench.boards.tables.ablation import ablation_verdict
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.task import DataRequest

METRICS = ("balanced_accuracy", "coarse_summed_balanced_accuracy")
FOLDS, SEEDS, N, N_TRAIN = (0, 1, 2), (0, 1), 120, 360
SKILLS = {"full": 1.5, "no_bias": 1.45, "no_dropout": 0.6, "wide": 1.5, "tiny": 0.0}
prepare = cache(DataRequest.prepare)


def made(tmp_path, names, skip=()):
    """An ablation whose runs are there, but for the ``(variant, seed, fold)`` of ``skip``."""
    grid, machine = request(tmp_path, methods=["parts"], folds=[*FOLDS], seeds=[*SEEDS])
    ablation = plan_components(grid, names, METRICS, machine, prepare)
    predicted = {}
    for number, row in enumerate(ablation.rows):
        for spec in (task.spec for task in row.tasks):
            cell = (row.label, spec.seed, spec.fold)
            if cell in skip:
                continue
            predicted[cell] = paired_predictions(
                SKILLS[row.label], spec.fold, 10 * number + spec.seed, n=N, tree=toy_grid.TREE
            )
            finish(tmp_path, spec, predicted[cell], n_train=N_TRAIN)
    return ablation, predicted


def decided(p):
    return p.labels, p.heads["leaf"].argmax(1)


def fold_values(predicted, name, score=lambda p: balanced_accuracy_score(*decided(p))):
    """``(folds,)``: the score of scikit-learn, seeds averaged within a fold."""
    return np.array([np.mean([score(predicted[name, s, f]) for s in SEEDS]) for f in FOLDS])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    ablation, predicted = made(folder, list(SKILLS))
    report = report_of(ablation.board(folder))
    rows = {(row.method, row.score): row for row in report.table("ablation").rows}
    return report, rows, predicted


def test_values_are_the_means_of_stored_predictions(study):
    _, rows, predicted = study
    for name in SKILLS:
        value = rows[name, Score("balanced_accuracy")]["value"]
        folds = fold_values(predicted, name)
        assert value.value == pytest.approx(folds.mean())
        assert value.sd_folds == pytest.approx(folds.std(ddof=1))


def test_retraining_is_the_corrected_resampled_t_over_folds(study):
    """Nadeau and Bengio 2003 by hand: the variance is sd^2 (1/J + n_test / n_train)."""
    _, rows, predicted = study
    full = fold_values(predicted, "full")
    for name in ("no_bias", "no_dropout", "tiny"):
        d = fold_values(predicted, name) - full
        error = d.std(ddof=1) * np.sqrt(1 / len(d) + N / N_TRAIN)
        low, high = stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=error)
        row = rows[name, Score("balanced_accuracy")]
        refits, p = row["refits"], row["p_refits"]
        assert (refits.value, refits.low, refits.high) == pytest.approx((d.mean(), low, high))
        assert p.value == pytest.approx(2 * stats.t.sf(abs(d.mean() / error), len(d) - 1))


def test_the_note_counts_the_rows_that_holms_correction_is_over(study):
    report, rows, _ = study
    compared = Counter(score for (_, score), row in rows.items() if row["difference"] is not None)
    assert set(compared.values()) == {len(SKILLS) - 1}
    note = report.table("ablation").note
    assert note.endswith(f"over the rows that a score compares: {len(SKILLS) - 1}")


def test_differences_are_paired_over_patients(study):
    """An own bootstrap over patients with other draws: equal but for their noise."""
    _, rows, predicted = study
    patients = sorted({g for p in predicted.values() for g in p.groups.tolist()})
    rng = np.random.default_rng(99)
    draws = []
    for _ in range(400):
        times = dict(zip(patients, np.bincount(rng.integers(0, len(patients), len(patients)),
                                               minlength=len(patients)), strict=True))  # fmt: skip

        def score(p, times=times):
            weights = np.array([times[g] for g in p.groups.tolist()])
            truth, chosen = decided(p)
            there = weights > 0
            return balanced_accuracy_score(
                truth[there], chosen[there], sample_weight=weights[there]
            )

        draws.append(
            fold_values(predicted, "no_dropout", score).mean()
            - fold_values(predicted, "full", score).mean()
        )
    d = rows["no_dropout", Score("balanced_accuracy")]["difference"]
    own = fold_values(predicted, "no_dropout") - fold_values(predicted, "full")
    assert d.value == pytest.approx(own.mean())
    assert (d.low, d.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.012)


def test_holm_is_over_the_rows_of_a_score_against_the_full_method(study):
    _, rows, _ = study
    for metric in (Score("balanced_accuracy"), Score("balanced_accuracy", "coarse", "summed")):
        own = [rows[name, metric] for name in SKILLS if name != "full"]
        _, adjusted, *_ = multipletests([row["p"].value for row in own], method="holm")
        assert [row["p_holm"].value for row in own] == pytest.approx(adjusted)
        both = [max(row["p"].value, row["p_refits"].value) for row in own]
        _, adjusted, *_ = multipletests(both, method="holm")
        assert [row["p_both"].value for row in own] == pytest.approx(adjusted)
        assert rows["full", metric]["difference"] is None


def test_the_verdict_says_what_both_tests_show(study):
    report, rows, _ = study
    decisions = {n: rows[n, Score("balanced_accuracy")]["decision"] for n in SKILLS if n != "full"}
    assert decisions["tiny"] == "worse"
    assert decisions["no_bias"] == "not separable"
    assert "worse than full" in report.verdict
    alike = sum(decision == "not separable" for decision in decisions.values())
    assert f"{alike} of 4 rows" in report.verdict


def test_scores_that_say_the_same_share_a_sentence_of_the_verdict(study):
    report, *_ = study
    of_leaves, _, of_coarse = report.verdict.partition(" Coarse")
    assert of_coarse  # they say different things here
    score = Score("balanced_accuracy")
    board = replace(report.board, study=replace(report.board.study, scores=(score, score)))
    shared = ablation_verdict(replace(report.analysis, board=board))
    assert shared == of_leaves.replace("Bal. acc:", "Bal. acc and Bal. acc:")


def test_a_control_with_another_tree_is_compared_like_every_variant(study):
    report, _, _ = study
    assert [row.label for row in report.board.rows] == list(SKILLS)
    assert not any(row.control for row in report.board.rows)
    assert report.table("pairs") is None
    assert report.table("controls") is None


def test_a_row_that_lacks_a_run_says_so_and_has_no_difference(tmp_path):
    ablation, _ = made(tmp_path, ["wide", "no_bias"], skip={("wide", 1, 2)})
    fail(tmp_path, ablation.rows[-1].tasks[-1].spec, "out of memory")
    report = report_of(ablation.board(tmp_path))
    (wide,) = [row for row in report.table("ablation").brief if row.method == "wide"][:1]
    assert wide["difference"] is None
    assert wide["coverage"] == "5 of 6"
    assert any(p.startswith("wide: incomplete (1 failed): out of memory") for p in report.problems)
    (grid, *_) = grids_of(report)
    assert [row[0].text for row in grid.rows] == ["full", "no_bias", "wide*"]
    assert "wide" not in report.verdict


def test_without_the_full_method_there_is_no_difference_at_all(tmp_path):
    ablation, _ = made(tmp_path, ["wide"], skip={("full", 0, 0)})
    report = report_of(ablation.board(tmp_path))
    assert report.verdict == "Nothing can be compared: full has 5 of 6 runs."
    assert all(row["difference"] is None for row in report.table("ablation").rows)


def test_before_any_run_there_is_a_board_that_says_so(tmp_path):
    ablation, _ = made(tmp_path, ["wide"], skip={("full", s, f) for s in SEEDS for f in FOLDS}
                       | {("wide", s, f) for s in SEEDS for f in FOLDS})  # fmt: skip
    report = report_of(ablation.board(tmp_path))
    assert "no run is finished" in report.verdict
    assert {row["status"] for row in report.table("ablation").rows} == {"no result (6 missing)"}


def test_components_are_check_marks_for_people_and_words_in_files(study):
    report, _, _ = study
    (grid, *_) = grids_of(report)
    assert grid.heads[:5] == ("Variant", "Change", "bias", "dropout", "half")
    marks = {row[0].text: [cell.text for cell in row[2:5]] for row in grid.rows}
    assert marks["full"] == ["✓", "✓", "✓"]
    assert marks["no_dropout"] == ["✓", "·", "·"]
    assert marks["wide"] == ["", "", ""]
    lines = list(csv.DictReader(csv_wide(report.table("ablation")).splitlines()))
    assert [lines[0][part] for part in ("bias", "dropout", "half")] == ["yes", "yes", "yes"]


def test_latex_has_check_marks_groups_paired_intervals_and_every_score(study):
    report, _, _ = study
    grids = [grid for grid in grids_of(report) if grid.name == "ablation"]
    assert [grid.title for grid in grids] == [
        "Components (Bal. acc)", "Components (coarse summed Bal. acc)",
    ]  # fmt: skip
    text = grids_latex(report, grids)
    assert text.startswith("% packages: booktabs, graphicx, amssymb")
    assert r"without dropout \& noise" in text
    assert "Ablation of parts. Components (Bal. acc) on toy" in text
    (full,) = re.findall(r"^full &.*$", text.split(r"\end{table*}")[0], re.MULTILINE)
    assert full.count(r"\checkmark") == 3
    body = text.split(r"\midrule", 1)[1].split(r"\bottomrule")[0]
    assert body.count(r"\midrule") == 3  # left out | variant | twin
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({line.replace(r"\&", "").count("&") for line in rows}) == 1


def test_the_folder_holds_what_boards_have_and_is_the_same_twice(tmp_path):
    ablation, _ = made(tmp_path / "runs", ["wide", "no_dropout"])
    quiet = Console(quiet=True)
    first, second = (
        write_ablation(ablation, tmp_path / "runs", tmp_path / out, quiet) for out in ("a", "b")
    )
    assert first.relative_to(tmp_path / "a").as_posix() == "embedded/toy/toy/kfold-3/parts"
    names = {path.name for path in first.iterdir()}
    assert names >= {
        "README.md", "ablation.csv", "ablation_tidy.csv", "ablation.tex", "ablation.html",
        "differences.png", "overall.csv", "classwise.csv", "runs_tidy.csv",
    }  # fmt: skip
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    table = pd.read_csv(first / "ablation.csv", keep_default_na=False)
    assert table["variant"].unique().tolist() == ["full", "no_dropout", "wide"]
    assert "![Ablation of parts: toy" in (first / "README.md").read_text()
    page = (first / "ablation.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert data["boards"][0]["tables"]["ablation"]["keys"] == ["variant", "change", "score"]


def test_the_screen_shows_the_first_score_unless_more_is_requested(tmp_path):
    ablation, _ = made(tmp_path, ["no_dropout"])
    for verbose, number in ((False, 1), (True, 2)):
        console = Console(record=True, width=120, file=io.StringIO())
        write_ablation(ablation, tmp_path, tmp_path / "out", console, verbose=verbose)
        assert console.export_text().count("Components (") == number


def test_a_narrow_screen_has_the_whole_table_and_says_which_row_lacks_runs(tmp_path):
    ablation, _ = made(tmp_path, ["no_bias", "wide", "tiny"], skip={("wide", 1, 2)})
    console = Console(record=True, width=80, file=io.StringIO())
    write_ablation(ablation, tmp_path, tmp_path / "out", console)
    text = console.export_text()
    assert "continued" not in text
    assert "wide*" in text
    assert "wide: incomplete (1 missing)" in text


def test_the_page_opens_with_the_ablation(study, tmp_path):
    path = write_page([study[0]], tmp_path)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(path.as_uri())
        assert page.title().startswith("Ablation")
        assert page.locator("#view-pairs").count() == 0
        rows = page.locator("#table-ablation tbody tr")
        assert rows.count() == len(SKILLS)
        marks = rows.nth(2).locator("td.check > span:first-child").all_inner_texts()
        assert marks == ["✓", "·", "·"]  # no_dropout
        assert page.locator("svg.forest .label").first.text_content().startswith("no_bias")
        page.select_option("#metric-ablation", METRICS[1])
        assert rows.count() == len(SKILLS)
        assert "coarse summed" in page.text_content("svg.forest .axis")
