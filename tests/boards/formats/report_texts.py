"""Texts of reports: boards of runs, rows of CSV files, screens."""

from __future__ import annotations

import csv
import io

from rich.console import Console

from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.terminal import EVERYTHING, show
from mil_bench.boards.report import report_of


def reports_of(runs):
    """Return a report per board of a folder of runs."""
    return [report_of(board) for board in build_boards(collect(runs))]


def lines(text):
    """Return the rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def printed(reports, width=160, tables=(EVERYTHING,), verbose=True):
    """Return what the terminal shows of reports."""
    console = Console(file=io.StringIO(), width=width)
    show(reports, console, tables, verbose=verbose)
    return console.file.getvalue()
