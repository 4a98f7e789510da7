"""Boards and scores as data frames: what ``from mil_bench import leaderboard, score`` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mil_bench.base.errors import counted
from mil_bench.base.registry import load_plugins
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import Board
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.extractions import locks_of
from mil_bench.boards.formats.csv_files import wide_rows
from mil_bench.boards.known_labels import with_known_labels
from mil_bench.boards.laboratories import with_laboratories
from mil_bench.boards.of_protocol import admitted, of_protocol
from mil_bench.boards.report import Report, report_of
from mil_bench.boards.rescore import common_board, rescore
from mil_bench.boards.score import ScoreRequest, notes_of_reading, score_tables
from mil_bench.boards.site_boards import boards_of_reports
from mil_bench.boards.subgroups import with_subgroups
from mil_bench.boards.tables.table import Table
from mil_bench.exchange.bundles.protocol import read_protocol
from mil_bench.exchange.bundles.sources import run_folders, run_sources
from mil_bench.exchange.site_report import read_site_report, site_reports_in
from mil_bench.runs.tuning_record import read_tunings


@dataclass(frozen=True)
class BoardFrames:
    """One board: the tables that ``mil-bench leaderboard`` writes, as data frames.

    ``tables`` maps a name (``overall``, ``classwise``, ``pairs``, ...) to a frame with the columns
    of its CSV file: the value of a score has the name of the score, the ends of its 95 %
    confidence interval add ``_low`` and ``_high``; fractions are between 0 and 1. ``verdict``,
    ``caveats`` and ``problems`` are sentences on how to read them.
    """

    title: str
    tables: Mapping[str, pd.DataFrame]
    verdict: str
    caveats: tuple[str, ...]
    problems: tuple[str, ...]

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table by name. Raises ``KeyError`` where the board does not have it."""
        return self.tables[name]

    def __repr__(self) -> str:
        return f"<board {self.title}: {', '.join(self.tables)}>"


def leaderboard(
    runs: str | Path = "runs",
    *,
    tree: str | Path | None = None,
    common: bool = False,
    protocol: str | Path | None = None,
    by: str | None = None,
    dataset: str | None = None,
    data_root: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
) -> list[BoardFrames]:
    """Return the boards of ``runs``, in the order of ``mil-bench leaderboard``.

    ``runs`` is a folder of runs, a bundle, or a folder with bundles. ``tree`` (a file) scores the
    runs under another tree over the same leaves. ``common`` restricts every board to the cells
    (seed, fold) that all its complete rows have. ``protocol`` (a file) keeps its runs and
    cells. ``by`` adds the table ``subgroups`` for a column of the dataset's label table;
    ``dataset`` and ``data_root`` say where that table is. With them, stored labels are compared
    with those of the dataset. Nothing is written. Raises ``DataError`` where no run can be read.
    """
    load_plugins([Path(plugin) for plugin in plugins])
    frozen = Path(protocol) if protocol else None
    root = Path(data_root) if data_root else None
    of_tree = Path(tree) if tree else None
    boards, _ = read_boards(Path(runs), of_tree, common, dataset, root, frozen)
    return [_frames(report) for report in reports_of(boards, by, dataset, root)]


@dataclass(frozen=True)
class ScoredFrames:
    """The tables of files of predictions, as data frames.

    ``sets`` maps a set (``val``, ``test``) to its tables. One model has ``overall``, ``hierarchy``
    unless the tree is flat, and ``classes-LEVEL-SOURCE`` for every level. Several have those of a
    board, with ``pairs`` or, for two, ``scores``, ``classes`` and ``slides``. ``notes`` say how the
    files were read; ``verdicts`` answer in a sentence, by set.
    """

    sets: Mapping[str, Mapping[str, pd.DataFrame]]
    notes: tuple[str, ...]
    verdicts: Mapping[str, str]

    def __getitem__(self, name: str) -> Mapping[str, pd.DataFrame]:
        """Return the tables of a set. Raises ``KeyError`` for one that the file does not hold."""
        return self.sets[name]


def score(
    predictions: str | Path | Sequence[str | Path],
    *,
    dataset: str | None = None,
    tree: str | Path | None = None,
    data_root: str | Path | None = None,
    common: bool = False,
    logits: bool = False,
    plugins: Sequence[str | Path] = (),
) -> ScoredFrames:
    """Score files of predictions made anywhere, and compare them, as ``mil-bench score`` does.

    ``dataset`` gives the tree (``tree`` chooses among its trees), and labels and patients where its
    label file can be read. Without it ``tree`` is a file; without both the classes are those of
    the files. ``common`` compares the slides that all files share; ``logits`` says that the files
    hold logits. Fractions are between 0 and 1. Raises ``DataError`` for files that cannot be scored
    or compared.
    """
    load_plugins([Path(plugin) for plugin in plugins])
    files = [predictions] if isinstance(predictions, str | Path) else predictions
    reports = ScoreRequest(
        [Path(file) for file in files],
        dataset,
        str(tree) if tree else None,
        Path(data_root) if data_root else None,
        common,
        logits,
    ).reports()
    frames = {
        name: {table.name: frame_of(table) for table in _tables(report)}
        for name, report in reports.items()
    }
    verdicts = {name: report.verdict for name, report in reports.items()}
    return ScoredFrames(frames, notes_of_reading(reports), verdicts)


def _tables(report: Report) -> Sequence[Table]:
    return report.tables if len(report.board.rows) > 1 else score_tables(report)


def read_boards(
    runs: Path,
    tree: Path | None = None,
    common: bool = False,
    dataset: str | None = None,
    data_root: Path | None = None,
    protocol: Path | None = None,
) -> tuple[list[Board], str]:
    """Return the boards of ``runs``, and a sentence on runs that are left out or ``""``.

    The options are those of :func:`leaderboard`.
    """
    sites = boards_of_reports(map(read_site_report, site_reports_in(runs)))
    if sites and (runs.is_file() or not run_folders(runs)):
        return sites, ""
    frozen = read_protocol(protocol) if protocol else None
    # Before protocols: changed runs do not count.
    records, left_out = with_known_labels(collect(runs), dataset, data_root), ""
    if frozen:
        everything, records = len(records), admitted(records, frozen)
        if everything > len(records):
            others = counted(everything - len(records), "run is", "runs are")
            left_out = f"{others} not of protocol {frozen.name} and left out"
    if tree is not None:
        records, lost = rescore(records, Taxonomy.load(tree))
        left_out = "; ".join(filter(None, [left_out, lost]))
    searches = [record for source in run_sources(runs) for record in read_tunings(source.runs)]
    locks, unreadable = locks_of(runs, records)
    left_out = "; ".join(filter(None, [left_out, *unreadable]))
    boards = build_boards(records, searches, locks)
    if frozen:
        boards = [of_protocol(board, frozen) for board in boards]
    if common:  # last: it depends on all rows of the board
        boards = [common_board(board) for board in boards]
    return [*boards, *sites], left_out


def reports_of(
    boards: Sequence[Board],
    by: str | None = None,
    dataset: str | None = None,
    data_root: Path | None = None,
) -> list[Report]:
    """Return the report of every board; the options are those of :func:`leaderboard`."""
    reports = with_laboratories([report_of(board) for board in boards])
    return with_subgroups(reports, by, dataset, data_root) if by is not None else reports


def frame_of(table: Table) -> pd.DataFrame:
    """Return a table with the columns of its wide CSV file; undefined numbers are ``nan``."""
    names, rows = wide_rows(table)
    return pd.DataFrame(list(rows), columns=names)


def _frames(report: Report) -> BoardFrames:
    tables = {table.name: frame_of(table) for table in report.tables}
    caveats = tuple(note.text for note in report.caveats)
    return BoardFrames(report.board.title, tables, report.verdict, caveats, report.problems)
