"""The page: HTML, CSS and JavaScript around one block of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mil_bench.base.atomic import write_text
from mil_bench.boards.confusions import confusions, tree_of
from mil_bench.boards.environment import HEADS, environments_of
from mil_bench.boards.formats.folder import board_folders, unwritable
from mil_bench.boards.page.cohorts import INDEX, index_html, page_name, part, styles
from mil_bench.boards.page.data import cards, encode, fitted, island, slides_of
from mil_bench.boards.page.runs import runs_table
from mil_bench.boards.report import Report
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.exchange.bundles.usual_differences import RETRAINED_ELSEWHERE

_READ = ("accuracy", "macro_auc", "macro_f1", "brier", "severity")
_STYLES = ("tokens", "frame", "controls", "table", "plots", "views", "print")
# In this order they use each other: a script may use what stands before it.
_SCRIPTS = (
    "dom",
    "state",
    "theme",
    "data",
    "numbers",
    "export",
    "scale",
    "whisker",
    "table_cells",
    "table_tools",
    "table",
    "plot_forest",
    "plot_scatter",
    "plot_reliability",
    "plot_confusion",
    "plot_tree",
    "view_ablation",
    "view_overall",
    "view_hierarchy",
    "view_classes",
    "view_pairs",
    "view_pair",
    "view_calibration",
    "view_cost",
    "view_runs",
    "view_methods",
    "view_more",
    "frame",
)


def write_pages(reports: Sequence[Report], out: Path) -> list[Path]:
    """Write a page per cohort and ``index.html``, which leads to them; return the paths.

    ``out`` holds the folders of the boards. Raises ``DataError`` when a page cannot be written.
    """
    by_page: dict[str, list[Report]] = {}
    for report in reports:
        by_page.setdefault(page_name(report.board), []).append(report)
    pages = [write_page(of_cohort, out) for of_cohort in by_page.values()]
    index = out / INDEX
    _write(index, index_html(by_page))
    return [*pages, index]


def write_page(reports: Sequence[Report], out: Path, path: Path | None = None) -> Path:
    """Write boards as one page, ``path`` or named by the cohort of the first; return its path.

    ``out`` holds the folders of the boards. Raises ``DataError`` when the page cannot be written.
    """
    path = path or out / page_name(reports[0].board)
    _write(path, page_html(reports, out, path.parent))  # links to heatmaps start at the page
    return path


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise unwritable(path, error) from None


def page_html(reports: Sequence[Report], out: Path = Path(), folder: Path | None = None) -> str:
    """Return the page of ``reports``, in their order; the same reports give the same text.

    It requires no network and no other file. ``out`` holds the folders of the boards, ``folder``
    (by default ``out``) the page: links to heatmaps are relative to it.
    """
    data = {
        "boards": fitted(
            [
                _board(report, home.relative_to(out).as_posix(), folder or out)
                for report, home in zip(
                    reports, board_folders([report.board for report in reports], out), strict=True
                )
            ],
            read_first={name for name, score in _scores(reports).items() if _read_first(score)},
        ),
        "cards": cards([report.board for report in reports]),
        "metrics": _metrics(reports),
        "retrained": RETRAINED_ELSEWHERE,
    }
    pieces = {
        "style": styles(_STYLES),
        "island": island(data),
        "script": "\n".join(part("js", f"{name}.js") for name in _SCRIPTS),
    }
    text = part("page.html")
    for name, piece in pieces.items():
        # Exactly one mark: a second one would not unpack.
        before, after = text.split(f"<!--{name}-->")
        text = before + piece + after
    return text


def _board(report: Report, place: str, folder: Path) -> dict[str, Any]:
    board = report.board
    tables = [*report.tables, runs_table(board, folder)]
    return {
        "place": place,
        "title": board.title,
        "kind": board.id.kind,
        "slides": board.slides if board.scores else 0,
        "patients": board.groups if board.scores else 0,
        "verdict": report.verdict,
        "caveats": [note.text for note in report.caveats],
        "problems": report.problems,
        "environments": [HEADS, *(e.words for e in environments_of(board))],
        "methods": {row.label: row.method for row in board.rows},
        "tables": {table.name: encode(table) for table in tables},
        "tree": tree_of(board.taxonomy) if board.taxonomy else None,
        "confusions": confusions(board),
        "slidewise": slides_of(report.analysis),
    }


def _metrics(reports: Sequence[Report]) -> dict[str, Any]:
    """Title, unit and direction of the scores that rows of tables name."""
    return {
        name: {
            "title": score.facts.title,
            "percent": score.facts.percent,
            "better": score.facts.better,
        }
        for name, score in sorted(_scores(reports).items())
    }


def _read_first(score: Score) -> bool:
    """Whether pairs are compared by it first: balanced accuracy of every level, few others."""
    return score.metric == PRIMARY or (score.plain and score.metric in _READ)


def _scores(reports: Sequence[Report]) -> dict[str, Score]:
    """The scores of rows by the names that they have on the page."""
    tables = [table for report in reports for table in report.tables]
    scores = {row.score for table in tables for row in table.rows if row.score}
    return {str(score): score for score in scores}
