"""``mil-bench status``: how far a grid is, from any terminal."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import declare_machine, machine_request

if TYPE_CHECKING:
    from mil_bench.runs.directory import Status
    from mil_bench.runs.studies.grid_status import Overseen
    from mil_bench.runs.task import Prepare, Task


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

    from mil_bench.runs.studies.grid_status import oversee

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

    from mil_bench.runs.studies.grid_status import oversee

    seen: Overseen = oversee(runs, everything)
    with Live(seen.rendered(), auto_refresh=False) as live:
        while seen.unfinished:
            time.sleep(SECONDS)
            seen = oversee(runs, everything)
            live.update(seen.rendered(), refresh=True)


# ``mil-bench retry``: make runs again that have ended without a result.


def retry(parser: Parser, words: Sequence[str]) -> int:
    """Exit code 1 when a run has failed again or cannot be tried."""
    parser.usage = f"{parser.prog} --failed [--interrupted] [options]"
    parser.add_argument("--failed", action="store_true", help="Runs that have failed.")
    parser.add_argument(
        "--interrupted", action="store_true", help="Runs that began and that nobody is making."
    )
    add_shared(parser, "runs")
    declare_machine(parser, with_precision=False)
    given = parser.parse(words)
    wanted: set[Status] = set()
    if given.failed:
        wanted.add("failed")
    if given.interrupted:
        wanted.add("interrupted")
    if not wanted:
        raise UsageError("say which runs to make again: --failed, --interrupted or both.")
    from mil_bench.runs.studies.stored_plans import still_valid, unfinished
    from mil_bench.runs.task import DataRequest

    found, prepare = unfinished(given.runs, wanted), cache(DataRequest.prepare)
    tasks, refused = still_valid(found.tasks, prepare)
    refused += [
        f"no plan tells how {place.path} was made; give its command again with "
        "--existing retry-failed."
        for place in found.unplanned
    ]
    code = _make(given, tasks, prepare) if tasks else 0
    _tell(given, wanted, len(tasks), [*found.notes, *refused])
    return max(code, 1 if refused else 0)


def _make(given: Namespace, tasks: Sequence[Task], prepare: Prepare) -> int:
    from rich.console import Console

    from mil_bench.runs.grid import run_tasks

    machine = replace(machine_request(given), existing="retry-failed")
    return 1 if run_tasks(tasks, machine, Console(), prepare).failed else 0


def _tell(given: Namespace, wanted: set[Status], made: int, notes: Sequence[str]) -> None:
    """What could not be made again, or that there was nothing to make."""
    from rich.console import Console
    from rich.markup import escape

    if not made:
        which = " or ".join(sorted(wanted))
        Console().print(f"no {which} run to make again in {given.runs}", highlight=False)
    for note in notes:
        Console().print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
