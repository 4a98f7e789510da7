"""``mil-bench compare``: two methods beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser


def compare(parser: Parser, words: Sequence[str]) -> int:
    """Print the differences of two methods and the slides on which they disagree."""
    parser.add_argument("first", help="A method, or a row such as 'abmil (tuned)'.")
    parser.add_argument("second", help="The other one.")
    parser.add_argument(
        "--dataset", "-d", metavar="NAME", help="Only boards of this dataset (default: all)."
    )
    add_shared(parser, "runs")
    parser.add_argument("--out", metavar="DIR", type=Path, help="Write the tables as files, too.")
    add_shared(parser, "common")
    given = parser.parse(words)
    from rich.console import Console

    from mil_bench.leaderboard import (
        EVERYTHING,
        build_boards,
        check_writable,
        collect,
        show,
        write_reports,
    )
    from mil_bench.leaderboard.compare import comparisons, shortened
    from mil_bench.tuning.record import read_tunings

    console = Console()
    boards = build_boards(collect(given.runs), read_tunings(given.runs))
    if given.out is not None:
        check_writable(given.out)
    names = (given.first, given.second)
    reports = comparisons(boards, *names, given.dataset, shared=given.common)
    show([shortened(report) for report in reports], console, [EVERYTHING])
    if given.out is not None:
        written = write_reports(reports, given.out)
        console.print(f"{len(written)} files written under {given.out}")
    return 0
