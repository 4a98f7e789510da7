"""Reports as files in ``<kind>/<dataset>/<encoder>/<split>/``."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mil_bench.base.atomic import write_text
from mil_bench.base.errors import DataError
from mil_bench.boards.board import Board
from mil_bench.boards.environment import environment_json, environments_of
from mil_bench.boards.formats.csv_files import csv_tidy, csv_wide, runs_tidy
from mil_bench.boards.formats.grid import grids_of
from mil_bench.boards.formats.latex import grids_latex
from mil_bench.boards.formats.markdown import report_page
from mil_bench.boards.report import Report


def check_writable(out: Path) -> None:
    """Create the folder ``out`` before any work is done; ``DataError`` if that is impossible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        # A real write: permission bits do not tell of a full or read-only disk.
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise unwritable(out, error) from None


def write_reports(reports: Sequence[Report], out: Path, figures: bool = False) -> list[Path]:
    """Write every table of every report, ``runs_tidy.csv``, ``environment.json`` and ``README.md``.

    Return the paths. A table is ``<name>.csv`` (wide), ``<name>_tidy.csv`` and ``<name>.tex``.
    ``figures`` puts the overview picture on the page. The same runs give the same bytes. Raises
    ``DataError`` when ``out`` cannot be written.
    """
    written = []
    boards = [report.board for report in reports]
    for report, folder in zip(reports, board_folders(boards, out), strict=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in _files(report, figures).items():
                written.append(folder / name)
                write_text(written[-1], text)
        except OSError as error:
            raise unwritable(folder, error) from None
    return written


def unwritable(path: Path, error: OSError) -> DataError:
    """Return the error of a ``path`` that cannot be written."""
    return DataError(f"cannot write {path} ({error.strerror}); choose another --out folder.")


def _files(report: Report, figures: bool) -> dict[str, str]:
    """Name -> content."""
    contents = {}
    grids = grids_of(report)
    for table in report.tables:
        contents[f"{table.name}.csv"] = csv_wide(table)
        contents[f"{table.name}_tidy.csv"] = csv_tidy(table)
        alike = [grid for grid in grids if grid.name == table.name]
        if alike:
            contents[f"{table.name}.tex"] = grids_latex(report, alike)
    if report.board.scores:  # a board without results has no runs to list
        contents["runs_tidy.csv"] = runs_tidy(report.board)
    if environments_of(report.board):  # predictions made elsewhere have none
        contents["environment.json"] = environment_json(report.board)
    return contents | {"README.md": report_page(report, figures)}


def board_folders(boards: Sequence[Board], out: Path) -> list[Path]:
    """Return the folder of every board; boards of one place differ by tree, then by content hash.

    A board under another tree than that of the training never replaces the first one.
    """
    homes = [_home(board) for board in boards]
    same_split = Counter(homes)
    with_tree = Counter((home, board.id.tree) for home, board in zip(homes, boards, strict=True))
    folders = []
    for home, board in zip(homes, boards, strict=True):
        name = home[-1]
        crowded = same_split[home] > 1 or board.rescored  # a rescored board names its tree
        if crowded and with_tree[home, board.id.tree] == 1:
            name += f"--{safe_name(board.id.tree)}"
        elif crowded:
            name += f"--{safe_name(board.id.tree)}-{_content(board)}"
        folders.append(out.joinpath(*home[:-1], name))
    return folders


def safe_name(text: str) -> str:
    """Return ``text`` as a plain folder name."""
    return re.sub(r"[^\w.-]+", "-", text).strip(".-") or "unnamed"


def _home(board: Board) -> tuple[str, ...]:
    split = board.protocol or board.id.split
    if board.id.trained_on:
        split = f"trained-on-{board.id.trained_on}-{split}"
    parts = (board.id.kind, board.id.dataset, board.id.encoder, split)
    places = board.study.places if board.study else ()
    return tuple(safe_name(part) for part in (*parts, *places) if part)  # "" makes no folder


def _content(board: Board) -> str:
    digests = (board.id.tree_digest, board.id.split_digest)
    return "-".join(d[:6] for d in (*digests, board.id.labels_digest, board.id.features_digest))
