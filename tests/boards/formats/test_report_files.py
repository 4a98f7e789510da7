"""Files of reports: the same bytes every time, marks, leaks and names in every format."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prediction_cases import FLAT, random_predictions
from report_texts import printed, reports_of
from run_folders import begin, finish, make_spec

from mil_bench.base.errors import DataError
from mil_bench.base.finding import Note
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.folder import check_writable, write_reports
from mil_bench.boards.formats.grid import grids_of, number_text
from mil_bench.boards.formats.latex import grids_latex
from mil_bench.boards.formats.markdown import report_page
from mil_bench.boards.report import report_of


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


def test_a_folder_that_cannot_be_written_is_told_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write .*file/out \(.*\); choose another --out"):
        check_writable(tmp_path / "file" / "out")
    check_writable(tmp_path / "new" / "out")
    assert list((tmp_path / "new" / "out").iterdir()) == []
