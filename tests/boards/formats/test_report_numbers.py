"""Numbers of reports: the same in every file and on the page, and those of the stored runs."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest
from report_texts import lines, printed, reports_of
from run_folders import finish, make_spec

from mil_bench.base.csv_safety import unescape
from mil_bench.boards.formats.csv_files import csv_tidy, csv_wide
from mil_bench.boards.formats.folder import write_reports
from mil_bench.boards.formats.grid import number_text
from mil_bench.boards.formats.markdown import report_page
from mil_bench.boards.tables.table import Number
from mil_bench.evaluation.scores import leaf_scores


def number(text):
    return float(text) if text else math.nan


def same(a, b, places=1e-6):
    return (math.isnan(a) and math.isnan(b)) or a == pytest.approx(b, abs=places)


def test_every_row_of_every_file_names_its_runs_and_its_split(report):
    keys = {row.label: {r.key for r in row.done.values()} for row in report.board.rows}
    digest = report.board.id.split_digest
    for table in report.tables:
        for line in lines(csv_wide(table)):
            label = line["method"]
            assert set(line["run_keys"].split()) == keys[label], table.name
            assert line["coverage"].startswith(f"{len(keys[label])} of ")
            assert (line["seeds"], line["split_digest"]) == (
                "0 1" if label != "max" else "0",
                digest,
            )
            if "other" in table.keys:
                assert set(line["other_run_keys"].split()) == keys[line["other"]]


def test_people_read_titles_of_scores_and_programs_their_names(report):
    assert {line["score"] for line in lines(csv_wide(report.table("pairs")))} >= {"macro_auc"}
    for text in (printed([report], width=80), report_page(report, False)):
        assert "Pairs (Bal. acc)" in text.replace("\\", "")
        assert "balanced_accuracy" not in text


def test_wide_and_tidy_files_hold_the_numbers_of_the_tables(report):
    checked = 0
    for table in report.tables:
        wide, tidy = lines(csv_wide(table)), lines(csv_tidy(table))
        assert len(wide) == len(table.rows)
        names = csv_wide(table).splitlines()[0].split(",")
        assert len(set(names)) == len(names)
        found = {tuple(line[k] for k in (*table.keys, "metric")): line for line in tidy}
        assert len(found) == len(tidy)
        for row, line in zip(table.rows, wide, strict=True):
            for column in table.columns:
                cell, key = row[column.name], tuple(line[k] for k in table.keys)
                if column.name in table.keys:
                    told = line[column.name]
                    assert (float(told) == cell.value) if isinstance(cell, Number) else told == cell
                    continue
                if not isinstance(cell, Number):
                    assert unescape(line[column.name]) == (cell or "")
                    assert (*key, column.name) not in found
                    continue
                told = found[*key, column.name]
                assert same(number(line[column.name]), number(told["value"]), 0)
                assert same(number(told["value"]), cell.value)
                assert (told["mark"], told["note"]) == (cell.mark, cell.note)
                for part in ("low", "high", "sd_folds", "sd_seeds"):
                    in_wide = number(line.get(f"{column.name}_{part}", ""))
                    assert same(in_wide, number(told[part]), 0)
                    assert same(in_wide, getattr(cell, part))
                checked += 1
    assert checked > 300


def test_the_page_shows_the_numbers_of_the_wide_file_rounded(report):
    page = report_page(report, figure=False).replace("\\", "")
    for name in ("overall", "hierarchical", "cost"):
        table = report.table(name)
        section = page.split(f"## {table.title}\n")[1].split("\n## ")[0]
        body = [line for line in section.splitlines() if line.startswith("| ")][2:]
        wide = lines(csv_wide(table))
        for text, line, row in zip(body, wide, table.rows, strict=True):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            assert cells[0].removesuffix("*") == row.method
            for shown, column in zip(cells[1:], map(table.column, table.shown), strict=True):
                value = re.sub(r"<br>.*|\*\*|</?ins>", "", shown)
                if isinstance(row[column.name], Number):
                    unit = row.unit(column)
                    assert value == number_text(number(line[column.name]), unit)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.41666, "fraction", "41.7"),
        (-0.0001, "fraction", "0.0"),
        (1.732, "levels", "1.73"),
        (27606, "count", "27,606"),
        (0.000714, "seconds", "0.714 ms"),
        (22.32, "seconds", "22.3 s"),
        (3.25e9, "FLOPs", "3.25 G"),
        (2, "rank", "2"),
        (0.0004, "probability", "<0.001"),
        (0, "probability", "0.000"),
        (math.nan, "fraction", "–"),
    ],
)
def test_numbers_are_shown_in_the_words_of_their_unit(value, unit, text):
    assert number_text(value, unit) == text


def test_the_runs_file_holds_the_scores_of_the_stored_predictions(tmp_path):
    folder, p = finish(tmp_path / "runs", make_spec(seed=3, fold=1))
    write_reports(reports_of(tmp_path / "runs"), tmp_path)
    path = tmp_path / "embedded/digit-bags/pixels/kfold-5/runs_tidy.csv"
    tidy = pd.read_csv(path)
    of_leaves = tidy[tidy["class"].isna() & (tidy["level"] == "leaf")].set_index("metric")
    for metric, value in leaf_scores(p).items():
        line = of_leaves.loc[metric]
        assert line["value"] == pytest.approx(value, abs=1e-6)
        assert (line["seed"], line["fold"], line["run_key"]) == (3, 1, folder.name)


def test_means_and_spreads_are_those_of_the_runs(folder):
    tidy = pd.read_csv(folder / "runs_tidy.csv", keep_default_na=False)
    tidy["value"] = tidy["value"].replace("", math.nan).astype(float)
    wide = {
        name: pd.read_csv(folder / f"{name}.csv").set_index("method")
        for name in ("overall", "hierarchical", "classwise")
    }
    checked = 0
    done = tidy[tidy["status"] == "done"]
    for (method, level, source, name, metric), found in done.groupby(
        ["method", "level", "source", "class", "metric"]
    ):
        grid = found.pivot(index="seed", columns="fold", values="value")
        table = wide["classwise"] if name else wide["overall"]
        table = table if metric in table else wide["hierarchical"]
        row = table.loc[[method]]
        if name:
            row = row[(row["level"] == level) & (row["source"] == source) & (row["class"] == name)]
        if (
            grid.isna().any(axis=None)
            or metric in ("support", "patients")
            or row[metric].isna().any()
        ):
            continue
        assert row[metric].item() == pytest.approx(grid.mean(axis=1).mean(), abs=2e-6)
        for part, axis in (("sd_folds", 0), ("sd_seeds", 1)):
            expected = grid.mean(axis=axis).std()
            assert row[f"{metric}_{part}"].item() == pytest.approx(expected, abs=2e-6, nan_ok=True)
        checked += 1
    assert checked > 200


def test_a_lost_run_keeps_its_line_and_its_reason(report, folder):
    tidy = pd.read_csv(folder / "runs_tidy.csv")
    lost = tidy[tidy["method"].eq("max") & tidy["metric"].isna()]
    assert lost["status"].value_counts().to_dict() == {"missing": 4, "failed": 1}
    assert lost["reason"].dropna().tolist() == ["out of memory; use bf16"]
    shown = printed([report])
    line = next(line for line in shown.splitlines() if "max" in line)
    assert "max*" in line
    assert "1/6" in line
    assert "out of memory; use bf16" in shown
    assert "\\* missing runs, so neither ranked nor compared" in report_page(report, figure=False)
