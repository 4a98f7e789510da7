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

SECONDS = 2.0  # between two looks


def status(parser: Parser, words: Sequence[str]) -> int:
    """Print the state of the runs; with ``--watch`` repeatedly, until no run is left."""
    add(parser, "--runs", "--all", "--watch")
    args = parser.parse(words)
    from rich.console import Console

    from mil_bench.runs.studies.grid_status import grid_status

    if not args.watch:
        Console().print(grid_status(args.runs, args.all).rendered())
        return 0
    try:
        _watch(args.runs, args.all)
    except KeyboardInterrupt:  # Ctrl-C is how a watch ends
        return 0
    return 0


def _watch(runs: Path, everything: bool) -> None:
    from rich.live import Live

    from mil_bench.runs.studies.grid_status import grid_status

    grids = grid_status(runs, everything)
    # auto_refresh would draw from another thread.
    with Live(grids.rendered(), auto_refresh=False) as live:
        while grids.unfinished:
            time.sleep(SECONDS)
            grids = grid_status(runs, everything)
            live.update(grids.rendered(), refresh=True)


def retry(parser: Parser, words: Sequence[str]) -> int:
    """Rerun what ended without a result; exit code 1 when a run fails again or cannot rerun."""
    parser.usage = f"{parser.prog} --failed [--interrupted] [options]"
    add(parser, "--failed", "--interrupted", "--runs")
    declare_machine(parser, with_precision=False)
    args = parser.parse(words)
    statuses: set[RunStatus] = set()
    if args.failed:
        statuses.add("failed")
    if args.interrupted:
        statuses.add("interrupted")
    if not statuses:
        raise UsageError("nothing to rerun: pass --failed, --interrupted or both.")
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.base.console import print_line, print_note
    from mil_bench.runs.studies.stored_plans import retry_runs

    console = Console()
    retried = retry_runs(machine_request(args), statuses, console)
    if not retried.rerun:
        which = " or ".join(sorted(statuses))
        print_line(f"no {which} run to rerun in {escape(str(args.runs))}.", console)
    for sentence in (*retried.notes, *retried.refused):
        print_note(sentence, console)
    return 0 if retried.complete else 1
