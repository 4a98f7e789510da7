"""``mil-bench status`` and ``mil-bench retry``: the progress of grids, and what did not finish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import declare_machine, machine_request

if TYPE_CHECKING:
    from mil_bench.runs.directory import RunStatus
    from mil_bench.runs.studies.grid_status import GridStatus

SECONDS = 2.0  # between two looks


def status(parser: Parser, words: Sequence[str]) -> int:
    """Print the state of the runs; with ``--watch`` repeatedly, until no run is left."""
    add(parser, "--runs", "--all", "--watch")
    args = parser.parse(words)
    from rich.console import Console

    from mil_bench.runs.studies.grid_status import grid_status

    console = Console()
    if not given.watch:
        console.print(grid_status(given.runs, given.all).rendered())
        return 0
    try:
        _watch(args.runs, args.all)
    except KeyboardInterrupt:
        return 0
    return 0


def _watch(runs: Path, everything: bool) -> None:
    from rich.live import Live

    from mil_bench.runs.studies.grid_status import grid_status

    seen: GridStatus = grid_status(runs, everything)
    with Live(seen.rendered(), auto_refresh=False) as live:
        while seen.unfinished:
            time.sleep(SECONDS)
            seen = grid_status(runs, everything)
            live.update(seen.rendered(), refresh=True)


def retry(parser: Parser, words: Sequence[str]) -> int:
    """Rerun failed or interrupted runs; exit code 1 when one fails again or cannot be rerun."""
    parser.usage = f"{parser.prog} --failed [--interrupted] [options]"
    parser.add_argument("--failed", action="store_true", help="Rerun failed runs.")
    parser.add_argument(
        "--interrupted",
        action="store_true",
        help="Resume runs that began, did not end and are not running.",
    )
    add_shared(parser, "runs")
    declare_machine(parser, with_precision=False)
    given = parser.parse(words)
    statuses: set[RunStatus] = set()
    if given.failed:
        statuses.add("failed")
    if given.interrupted:
        statuses.add("interrupted")
    if not statuses:
        raise UsageError("specify which runs to rerun: --failed, --interrupted or both.")
    from rich.console import Console

    from mil_bench.base.console import print_line, print_note
    from mil_bench.runs.studies.stored_plans import retry_runs

    console = Console()
    retried = retry_runs(machine_request(given), statuses, console)
    if not retried.rerun:
        print_line(f"no {' or '.join(sorted(statuses))} run to rerun in {given.runs}", console)
    for sentence in (*retried.notes, *retried.refused):
        print_note(sentence, console)
    return 0 if retried.complete else 1
