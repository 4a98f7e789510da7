"""Files and screens of reports: the same numbers everywhere, the same bytes every time."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from dataclasses import replace

import pandas as pd
import pytest
from paired_runs import paired_predictions, write_grid
from prediction_cases import FLAT, random_predictions
from rich.console import Console
from run_folders import begin, fail, finish, make_spec

from mil_bench.base.csv_safety import unescape
from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.base.finding import Note
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.csv_files import csv_tidy, csv_wide
from mil_bench.boards.formats.folder import check_writable, write_reports
from mil_bench.boards.formats.grid import Grid, Shown, grids_of, number_text
from mil_bench.boards.formats.latex import escape, grids_latex
from mil_bench.boards.formats.markdown import report_page
from mil_bench.boards.formats.terminal import EVERYTHING, NOTES, check_tables, grid_tables, show
from mil_bench.boards.report import report_of
from mil_bench.boards.tables.table import Number
from mil_bench.evaluation.scores import leaf_scores


def reports_of(runs):
    return [report_of(board) for board in build_boards(collect(runs))]


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


def printed(reports, width=160, tables=(EVERYTHING,), verbose=True):
    console = Console(file=io.StringIO(), width=width)
    show(reports, console, tables, verbose=verbose)
    return console.file.getvalue()


def number(text):
    return float(text) if text else math.nan


def same(a, b, places=1e-6):
    return (math.isnan(a) and math.isnan(b)) or a == pytest.approx(b, abs=places)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def report(runs):
    (found,) = reports_of(runs)
    return found


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    """The files of the report."""
    return write_reports([report], tmp_path_factory.mktemp("out"))[0].parent


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


def test_the_same_runs_in_any_order_give_the_same_bytes(runs, folder, tmp_path):
    again = build_boards(collect(runs)[::-1])
    written = write_reports([report_of(board) for board in again], tmp_path)
    names = {path.name for path in written}
    assert names >= {"overall.csv", "overall_tidy.csv", "overall.tex", "README.md"}
    assert names == {path.name for path in folder.iterdir()}
    for path in written:
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_best_is_bold_and_tied_is_underlined_in_every_format(report):
    table = report.table("overall")
    (best,) = [r for r in table.rows if r["accuracy"].mark == "best"]
    value = number_text(best["balanced_accuracy"].value, "fraction")
    assert f"**{value}**" in report_page(report, figure=False)
    tex = grids_latex(report, grids_of(report))
    assert rf"\textbf{{{value}}}" in tex
    tied = replace(best["macro_auc"], mark="tied", value=0.12345)
    cells = {**best.cells, "macro_auc": tied}
    changed = replace(report, tables=(replace(table, rows=(replace(best, cells=cells),)),))
    assert "<ins>12.3</ins>" in report_page(changed, figure=False)
    assert r"\underline{12.3}" in grids_latex(changed, grids_of(changed))


def test_flat_label_sets_have_no_hierarchical_files(tmp_path):
    finish(tmp_path / "runs", make_spec(tree=FLAT))
    names = {p.name for p in write_reports(reports_of(tmp_path / "runs"), tmp_path / "out")}
    assert "overall.csv" in names
    assert not any("hierarchical" in name for name in names)


def test_a_leaky_split_is_marked_everywhere(tmp_path):
    leak = "leak: 72-87 % of the test slides share a patient with train"
    finish(tmp_path / "runs", make_spec(), split_notes=[leak])
    finish(tmp_path / "runs", make_spec(encoder="clean"))
    leaky, clean = sorted(reports_of(tmp_path / "runs"), key=lambda r: not r.board.leaky)
    assert [r["leaky"] for r in leaky.table("overall").rows] == ["yes"]
    assert [r["leaky"] for r in clean.table("overall").rows] == ["no"]
    assert leak in printed([leaky])
    page = report_page(leaky, figure=False)
    assert "This split leaks" in page
    assert leak in page


def test_names_cannot_run_formulas_markup_or_paths(tmp_path):
    evil = "=1+1|<b>[red]x[/red]`"
    p = random_predictions(n=60)
    finish(tmp_path / "runs", make_spec("abmil", dataset="my [bold]data"), p)
    begin(tmp_path / "runs", make_spec("mean", dataset="my [bold]data"))
    (board,) = build_boards(collect(tmp_path / "runs"))
    report = report_of(replace(board, rows=(replace(board.rows[0], method=evil),)))
    assert evil in printed([report])
    assert "my [bold]data" in printed([report])
    write_reports([report], tmp_path / "out")
    text = next((tmp_path / "out").rglob("overall.csv")).read_text()
    assert text.splitlines()[1].startswith("'=1+1|")
    page = next((tmp_path / "out").rglob("README.md")).read_text()
    assert r"=1+1\|\<b\>\[red\]x\[/red\]\`" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("lr<1e-3", r"lr\textless{}1e-3"),
        ("a > b | c", r"a \textgreater{} b \textbar{} c"),
        ("50 % & #1_a", r"50 \% \& \#1\_a"),
        (r"\input{x}~^$", r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}\$"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("''`,,", r"'{}'\textasciigrave{},{},"),
        ('"a"', r"{\ttfamily\char34}a{\ttfamily\char34}"),
        ("1–2 — …", r"1--2 --- \ldots{}"),
        ("−±×·", r"$-$$\pm$$\times$$\cdot$"),
        ("≤≥→↑↓Δ✓", r"$\leq$$\geq$$\rightarrow$$\uparrow$$\downarrow$$\Delta$$\checkmark$"),
        ("two\n\nlines\tend", "two lines end"),
        (
            "plain, it's (1/2) [a] @ b; c: d! e? f* g+ h=",
            "plain, it's (1/2) [a] @ b; c: d! e? f* g+ h=",
        ),
    ],
)
def test_every_special_character_is_escaped_for_latex(text, latex):
    assert escape(text) == latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_accepts_every_character_of_the_keyboard_and_of_our_words(tmp_path):
    text = "".join(map(chr, range(33, 127))) + " – — … − ± × · ≤ ≥ → ↑ ↓ Δ ✓ a--b '' ,, << ?`"
    source = r"\documentclass{article}\usepackage{amssymb}\begin{document}"
    (tmp_path / "all.tex").write_text(f"{source}\\textbf{{{escape(text)}}}\\end{{document}}")
    command = ["pdflatex", "-halt-on-error", "-draftmode", "all.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_names_cannot_run_latex(report):
    (table, *_), row = report.tables, report.table("overall").rows[0]
    evil = replace(row, method=r"\input{x} 5% & $a_b$ #~^")
    changed = replace(report, tables=(replace(table, rows=(evil,)),))
    line = grids_latex(changed, grids_of(changed)).split("\\midrule\n")[1].splitlines()[0]
    assert line.startswith(
        r"\textbackslash{}input\{x\} 5\% \& \$a\_b\$ \#\textasciitilde{}\textasciicircum{} & 1"
    )


def test_commands_in_sentences_are_code_and_nothing_else_is(report):
    told = "controls are missing (`mil-bench run --tree coarse`), says a`<b>`"
    page = report_page(replace(report, caveats=(Note("data", told),)), figure=False)
    assert r"- controls are missing (`mil-bench run --tree coarse`), says a\`\<b\>\`" in page


def test_long_tables_are_folded_on_pages_and_dealt_evenly_in_latex(report):
    (table, *_), row = report.tables, report.table("overall").rows[0]
    rows = tuple(replace(row, method=f"m{i}") for i in range(90))
    long = replace(report, tables=(replace(table, rows=rows),))
    page = report_page(long, figure=False)
    assert "<summary>90 rows</summary>" in page
    assert "<details>" not in report_page(report, figure=False)
    parts = grids_latex(long, grids_of(long)).split("\\midrule\n")[1:]
    assert [sum(f"m{i} &" in part for i in range(90)) for part in parts] == [30, 30, 30]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_of_every_table_compiles(folder, tmp_path):
    texts = sorted(folder.glob("*.tex"))
    names = [f"\\input{{{path}}}" for path in texts]
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}"
        + "\n".join(names)
        + "\\end{document}"
    )
    made = subprocess.run(
        ["pdflatex", "-halt-on-error", "-draftmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout[-600:]
    assert "Overfull \\hbox" not in made.stdout


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_tables_fit_the_terminal_and_lose_no_cell(report, width):
    told = printed([report], width)
    assert max(map(len, told.splitlines())) <= width
    for grid in grids_of(report, upper=False):
        for row in grid.rows[:30]:
            for cell in row[grid.names :]:
                assert cell.text in told.replace("\n", " ") or " " in cell.text
        for head in grid.heads:
            assert all(word in told for word in head.split())


def test_a_narrow_terminal_shows_the_columns_that_do_not_fit_below():
    cells = tuple(Shown(f"{i}{i}{i}.5") for i in range(9))
    heads = ("method", *(f"score{i}" for i in range(9)))
    grid = Grid("overall", "Overall", heads, ((Shown("hmil"), *cells),), 1)
    console = Console(file=io.StringIO(), width=30)
    tables = grid_tables(grid, 30)
    for table in tables:
        console.print(table)
    told = console.file.getvalue()
    assert len(tables) == 5
    assert told.count("hmil") == 5
    assert all(cell.text in told for cell in cells)
    assert max(map(len, told.splitlines())) <= 30


def test_the_screen_shows_what_is_read_and_names_the_rest(report):
    shown = printed([report], tables=("overall",))
    assert "Overall" in shown
    assert "Hierarchy" not in shown
    assert re.search(r"More tables in the files and on the page: hierarchical, .*pairs", shown)


def test_the_screen_has_at_most_five_notes_unless_all_are_requested(report):
    short, long = (printed([report], width=999, verbose=v) for v in (False, True))
    notes = [line for line in long.splitlines() if line.startswith("note: ")]
    shown = [line for line in short.splitlines() if line.startswith("note: ")]
    problems = [line for line in short.splitlines() if line in report.problems]
    assert len(shown) + len(problems) == NOTES < len(notes) + len(report.problems)
    assert shown == notes[: len(shown)]
    assert f"{len(notes) + len(report.problems) - NOTES} more note" in short


def test_a_leak_is_on_every_screen(report):
    leak = Note("leak", "leak: 3 patients are in train and test")
    leaky = replace(report, caveats=(*report.caveats, leak))
    assert "note: leak: 3 patients are in train and test" in printed([leaky], 999, verbose=False)


def test_a_table_that_no_board_can_have_is_refused_before_any_work():
    check_tables(["overall", "subgroups", "all"])
    with pytest.raises(UnknownNameError, match="unknown table 'pears'; did you mean 'pairs'"):
        check_tables(["overall", "pears"])


def test_a_table_that_this_board_lacks_is_left_out(report):
    assert "Subgroups" not in printed([report], tables=("subgroups",))


def test_a_folder_that_cannot_be_written_is_told_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write .*file/out \(.*\); choose another --out"):
        check_writable(tmp_path / "file" / "out")
    check_writable(tmp_path / "new" / "out")
    assert list((tmp_path / "new" / "out").iterdir()) == []
