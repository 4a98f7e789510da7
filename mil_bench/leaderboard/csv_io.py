"""Boards as files: ``<kind>/<dataset>/<encoder>/<split>/`` with six CSV files and a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mil_bench.atomic import write_text
from mil_bench.errors import DataError
from mil_bench.evaluation.csv_safety import escape
from mil_bench.leaderboard.board import Board
from mil_bench.leaderboard.markdown import board_page
from mil_bench.leaderboard.tables import frames

TABLES = {
    "overall": frames.overall_table,
    "overall_tidy": frames.overall_tidy,
    "classwise": frames.classwise_table,
    "classwise_tidy": frames.classwise_tidy,
    "hierarchical": frames.hierarchical_table,
    "hierarchical_tidy": frames.hierarchical_tidy,
}
_DECIMALS = 6


def write_boards(boards: Sequence[Board], out: Path, figures: bool = False) -> list[Path]:
    """Write every board's CSV files and its ``README.md``; the paths, in order.

    ``figures`` puts the picture of :func:`~mil_bench.leaderboard.figure.write_figures` on the
    page. The same boards give the same bytes. A flat tree has no hierarchical files. Raises
    ``DataError`` when ``out`` cannot be written.
    """
    written = []
    for board, folder in zip(boards, board_folders(boards, out), strict=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, make in TABLES.items():
                table = make(board)
                if not table.empty:
                    written.append(folder / f"{name}.csv")
                    write_text(written[-1], to_csv(table))
            written.append(folder / "README.md")
            write_text(written[-1], board_page(board, figures))
        except OSError as error:
            raise DataError(
                f"cannot write {folder} ({error.strerror}); choose another --out folder."
            ) from None
    return written


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV text, safe for spreadsheets; undefined is empty.

    Six decimals; whole numbers from 2 up (counts) have none.
    """
    cells = table.map(_cell)
    return cells.rename(columns=escape).to_csv(index=False, lineterminator="\n")


def board_folders(boards: Sequence[Board], out: Path) -> list[Path]:
    """The folder of every board. Boards of one place differ by tree, then by content hash."""
    homes = [_home(board) for board in boards]
    same_split = Counter(homes)
    with_tree = Counter((home, board.id.tree) for home, board in zip(homes, boards, strict=True))
    folders = []
    for home, board in zip(homes, boards, strict=True):
        name = home[-1]
        if same_split[home] > 1 and with_tree[home, board.id.tree] == 1:
            name += f"--{safe_name(board.id.tree)}"
        elif same_split[home] > 1:
            name += f"--{safe_name(board.id.tree)}-{_content(board)}"
        folders.append(out.joinpath(*home[:-1], name))
    return folders


def safe_name(text: str) -> str:
    """``text`` as one plain folder name."""
    return re.sub(r"[^\w.-]+", "-", text).strip(".-") or "unnamed"


def _home(board: Board) -> tuple[str, ...]:
    parts = (board.id.kind, board.id.dataset, board.id.encoder, board.id.split)
    return tuple(safe_name(part) for part in parts if part)


def _content(board: Board) -> str:
    digests = (board.id.tree_digest, board.id.split_digest)
    return "-".join(d[:6] for d in (*digests, board.id.labels_digest, board.id.features_digest))


def _cell(value: object) -> str:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{value:.0f}" if value >= 2 and value.is_integer() else f"{value:.{_DECIMALS}f}"
    return str(value)
