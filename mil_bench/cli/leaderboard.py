"""``mil-bench leaderboard`` and ``mil-bench score``: numbers from stored predictions."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from collections.abc import Sequence
from pathlib import Path

from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import names
from mil_bench.cli.parser import Parser
from mil_bench.errors import UsageError


def leaderboard(parser: Parser, words: Sequence[str]) -> int:
    """Make the boards of a folder of runs."""
    add_shared(parser, "runs")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("leaderboards"),
        help="Folder of the CSV files and figures.",
    )
    parser.add_argument(
        "--figures",
        action=BooleanOptionalAction,
        default=None,
        help="Draw all figures, or none (default: the overview).",
    )
    parser.add_argument(
        "--html",
        action=BooleanOptionalAction,
        default=True,
        help="Write leaderboard.html: all boards as one page that needs no network.",
    )
    parser.add_argument(
        "--tree",
        metavar="FILE",
        type=Path,
        help="Score the runs under this tree (.toml, .json) over the same leaves; no training.",
    )
    add_shared(parser, "common")
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="Add scores of subgroups, by a column of the dataset's label table (provider).",
    )
    add_shared(parser, "dataset", help="Where --by finds own data: its .toml file.")
    add_shared(parser, "data_root", "plugin")
    parser.add_argument(
        "--show",
        metavar="TABLES",
        help="Tables to print, comma separated, or all (default: overall and hierarchical).",
    )
    given = parser.parse(words)
    from mil_bench.plugins import load_plugins

    load_plugins(given.plugin)
    from rich.console import Console
    from rich.text import Text

    from mil_bench.leaderboard import (
        READ,
        build_boards,
        check_tables,
        check_writable,
        collect,
        report_of,
        show,
        write_reports,
    )
    from mil_bench.leaderboard.common import common_board
    from mil_bench.leaderboard.rescore import rescore
    from mil_bench.taxonomy import Taxonomy
    from mil_bench.tuning.record import read_tunings

    console = Console()
    shown = names("--show", given.show) if given.show else READ
    check_tables(shown)
    records, left_out = collect(given.runs), ""
    if given.tree is not None:
        records, left_out = rescore(records, Taxonomy.load(given.tree))
    check_writable(given.out)
    boards = build_boards(records, read_tunings(given.runs))
    if given.common:
        boards = [common_board(board) for board in boards]
    reports = [report_of(board) for board in boards]
    if given.by is not None:
        from mil_bench.leaderboard.by import with_subgroups

        reports = with_subgroups(reports, given.by, given.dataset, given.data_root)
    show(reports, console, shown)
    written = write_reports(reports, given.out, given.figures is not False)
    refused: list[str] = []
    if given.figures is not False:
        from mil_bench.leaderboard.figures.write import write_all, write_overviews

        written += write_overviews(reports, given.out)
        if given.figures:
            drawn, refused = write_all(reports, given.out)
            written += drawn
    if given.html:
        from mil_bench.leaderboard.page import write_page

        written.append(write_page(reports, given.out))
    for told in filter(None, (left_out, *refused)):
        console.print(Text(told, style="yellow"))
    console.print(f"{len(written)} files written under {given.out}")
    return 0


def score(parser: Parser, words: Sequence[str]) -> int:
    """Score one file of predictions."""
    parser.add_argument("predictions", type=Path, help="CSV of slide ids and probabilities.")
    add_shared(parser, "dataset", help="Take tree and labels from here.")
    add_shared(parser, "tree", "data_root", "plugin")
    given = parser.parse(words)
    if given.dataset is None and given.tree is None:
        raise UsageError("score needs --dataset NAME or --tree FILE to know the classes.")
    if given.dataset is not None:
        from mil_bench.cli.plugins import check_dataset
        from mil_bench.plugins import load_plugins

        load_plugins(given.plugin)
        check_dataset(given.dataset)
    from rich.console import Console

    from mil_bench.leaderboard.score import score_file

    score_file(given.predictions, given.dataset, given.tree, given.data_root, Console())
    return 0
