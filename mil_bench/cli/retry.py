"""``mil-bench retry``: make runs again that have ended without a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from mil_bench.cli.machine import declare_machine, machine_request
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser
from mil_bench.errors import UsageError

if TYPE_CHECKING:
    from mil_bench.runs.directory import Status


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
    from rich.console import Console

    from mil_bench.runs.grid import run_tasks
    from mil_bench.runs.task import DataRequest
    from mil_bench.studies.retry import check_unchanged, unfinished

    console = Console()
    found = unfinished(given.runs, wanted)
    for note in found.notes:
        console.print(f"[yellow]note[/] {note}", soft_wrap=True)
    for place in found.unplanned:
        console.print(
            f"[yellow]note[/] no plan tells how {place.path} was made; give its command again with "
            "--existing retry-failed.",
            soft_wrap=True,
        )
    if not found.tasks:
        console.print(f"no {' or '.join(sorted(wanted))} run to make again in {given.runs}")
        return 1 if found.unplanned else 0
    machine = replace(machine_request(given), existing="retry-failed")
    prepare = cache(DataRequest.prepare)
    check_unchanged(found.tasks, prepare)
    failed = run_tasks(found.tasks, machine, console, prepare).failed
    return 1 if failed or found.unplanned else 0
