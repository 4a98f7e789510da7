"""``mil-bench status`` and ``mil-bench retry``: the progress of grids, and what did not finish."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import declare_machine, machine_request

if TYPE_CHECKING:
    from mil_bench.runs.directory import Status
    from mil_bench.runs.task import Prepare, Task

SECONDS = 2.0  # between two looks


def status(parser: Parser, words: Sequence[str]) -> int:
    """Print the state of the runs; with ``--watch`` repeatedly, until no run is left."""
    add(parser, "--runs", "--all", "--watch")
    args = parser.parse(words)
    from rich.console import Console

    from mil_bench.runs.studies.grid_status import oversee

    if not args.watch:
        Console().print(oversee(args.runs, args.all).rendered())
        return 0
    try:
        _watch(args.runs, args.all)
    except KeyboardInterrupt:
        return 0
    return 0


def _watch(runs: Path, everything: bool) -> None:
    from rich.live import Live

    from mil_bench.runs.studies.grid_status import oversee

    grids = oversee(runs, everything)
    with Live(grids.rendered(), auto_refresh=False) as live:
        while grids.unfinished:
            time.sleep(SECONDS)
            grids = oversee(runs, everything)
            live.update(grids.rendered(), refresh=True)


def retry(parser: Parser, words: Sequence[str]) -> int:
    """Rerun what ended without a result; exit code 1 when a run fails again or cannot rerun."""
    parser.usage = f"{parser.prog} --failed [--interrupted] [options]"
    add(parser, "--failed", "--interrupted", "--runs")
    declare_machine(parser, with_precision=False)
    args = parser.parse(words)
    statuses: set[Status] = set()
    if args.failed:
        statuses.add("failed")
    if args.interrupted:
        statuses.add("interrupted")
    if not statuses:
        raise UsageError("nothing to rerun: pass --failed, --interrupted or both.")
    from mil_bench.runs.studies.stored_plans import still_valid, unfinished
    from mil_bench.runs.task import DataRequest

    runs, prepare = unfinished(args.runs, statuses), cache(DataRequest.prepare)
    tasks, refused = still_valid(runs.tasks, prepare)
    refused += [
        f"No stored plan covers {place.path}; rerun its original command, then "
        "`mil-bench retry --failed`."
        for place in runs.unplanned
    ]
    code = _rerun(args, tasks, prepare) if tasks else 0
    _report(args, statuses, len(tasks), [*runs.notes, *refused])
    return max(code, 1 if refused else 0)


def _rerun(args: Namespace, tasks: Sequence[Task], prepare: Prepare) -> int:
    from rich.console import Console

    from mil_bench.runs.grid import run_tasks

    machine = replace(machine_request(args), existing="retry-failed")
    return 1 if run_tasks(tasks, machine, Console(), prepare).failed else 0


def _report(args: Namespace, statuses: set[Status], count: int, notes: Sequence[str]) -> None:
    """Print what could not rerun, or that there was nothing to rerun."""
    from rich.console import Console
    from rich.markup import escape

    if not count:
        which = " or ".join(sorted(statuses))
        Console().print(f"No {which} run to rerun in {args.runs}.", highlight=False)
    for note in notes:
        Console().print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
