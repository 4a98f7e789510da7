"""``mil-bench status``: how far a grid is, from any terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser

if TYPE_CHECKING:
    from mil_bench.studies.overseen import Overseen

SECONDS = 2.0  # between two looks


def status(parser: Parser, words: Sequence[str]) -> int:
    """Print the state of the runs; with ``--watch`` again and again until nothing is left."""
    add_shared(parser, "runs")
    parser.add_argument(
        "--all",
        action="store_true",
        help="Every grid and every run of the folder (default: the latest grid and those running).",
    )
    parser.add_argument("--watch", action="store_true", help="Stay and show changes (Ctrl-C ends).")
    given = parser.parse(words)
    from rich.console import Console

    from mil_bench.studies.overseen import oversee

    console = Console()
    if not given.watch:
        console.print(oversee(given.runs, given.all).rendered())
        return 0
    try:
        _watch(given.runs, given.all)
    except KeyboardInterrupt:
        return 0
    return 0


def _watch(runs: Path, everything: bool) -> None:
    from rich.live import Live

    from mil_bench.studies.overseen import oversee

    seen: Overseen = oversee(runs, everything)
    with Live(seen.rendered(), auto_refresh=False) as live:
        while seen.unfinished:
            time.sleep(SECONDS)
            seen = oversee(runs, everything)
            live.update(seen.rendered(), refresh=True)
