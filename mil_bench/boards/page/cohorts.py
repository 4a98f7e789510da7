"""A page per cohort, and the index page that leads to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mil_bench.base.errors import counted
from mil_bench.boards.board import Board
from mil_bench.boards.formats.folder import board_folders, safe_name
from mil_bench.boards.formats.grid import Shown, grid_of
from mil_bench.boards.report import Report

INDEX: Final = "index.html"
TOP: Final = 5
"""Rows of a board on the index page."""
_PARTS = files("mil_bench.boards.page") / "parts"
_STYLES = ("tokens", "index")
_DATA_KINDS = ("real", "embedded")


def part(*names: str) -> str:
    """Return the text of a file in the folder ``parts``."""
    return _PARTS.joinpath(*names).read_text(encoding="utf-8")


def styles(names: Sequence[str]) -> str:
    """Return the style sheets called ``names``, joined in this order."""
    return "\n".join(part("css", f"{name}.css") for name in names)


def page_name(board: Board) -> str:
    """Return the file name of the page of a board's cohort: ``bracs.html``.

    Simulated data of the same name have their own page.
    """
    kind = "" if board.id.kind in _DATA_KINDS else f"-{board.id.kind}"
    name = f"{safe_name(board.id.dataset)}{kind}.html".replace(" ", "-")
    return f"cohort-{name}" if name == INDEX else name


def index_html(by_page: Mapping[str, Sequence[Report]]) -> str:
    """Return the index page of ``by_page`` (page -> its boards): verdicts and highest rows.

    It is plain HTML without scripts and requires no other file.
    """
    style = styles(_STYLES)
    cohorts = "\n".join(_cohort(page, reports) for page, reports in by_page.items())
    template = part("index.html")
    return template.replace("<!--style-->", style).replace("<!--cohorts-->", cohorts)


def _cohort(page: str, reports: Sequence[Report]) -> str:
    name = escape(reports[0].board.id.dataset)
    places = board_folders([report.board for report in reports], Path())
    boards = "\n".join(
        _board(f"{page}#board={quote(place.as_posix(), safe='')}", report)
        for place, report in zip(places, reports, strict=True)
    )
    number = counted(len(reports), "board")
    return (
        f'<section>\n<h2><a href="{escape(page)}">{name}</a> '
        f"<small>{number}</small></h2>\n{boards}\n</section>"
    )


def _board(link: str, report: Report) -> str:
    board = report.board
    slides = counted(board.slides, "test slide") if board.scores else "no results"
    facts = f"{counted(len(board.rows), 'row')}, {slides}"
    if board.scores and board.patients_known:
        facts += f" of {counted(board.groups, 'patient')}"
    parts = [f'<h3><a href="{escape(link)}">{escape(board.title)}</a> <small>{facts}</small></h3>']
    if report.verdict:
        parts.append(f"<p>{escape(report.verdict)}</p>")
    return "\n".join([*parts, *_table(report)])


def _table(report: Report) -> Iterator[str]:
    """The first rows of the first table, as the README of the board shows them."""
    if not report.tables:
        return
    grid = grid_of(report.tables[0])
    heads = "".join(f"<th>{escape(head)}</th>" for head in grid.heads)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in grid.rows[:TOP])
    yield f"<div><table>\n<tr>{heads}</tr>\n{rows}\n</table></div>"
    more = len(grid.rows) - TOP
    if more > 0:
        yield f"<p><small>and {counted(more, 'row')} more</small></p>"


def _cell(cell: Shown) -> str:
    interval = f"<br><small>{escape(cell.interval)}</small>" if cell.interval else ""
    text = f"<b>{escape(cell.text)}</b>" if cell.mark == "best" else escape(cell.text)
    return f"<td>{text}{interval}</td>"
