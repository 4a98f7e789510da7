"""Reports on a terminal: tables that fit, the notes that are read first, unknown tables."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from report_texts import printed
from rich.console import Console

from mil_bench.base.errors import UnknownNameError
from mil_bench.base.finding import Note
from mil_bench.boards.formats.grid import Grid, Shown, grids_of
from mil_bench.boards.formats.terminal import NOTES, check_tables, grid_tables


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
