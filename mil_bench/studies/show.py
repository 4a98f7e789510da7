"""A grid on the terminal: counts and time by dataset and method, and what runs now."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence, Set

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mil_bench.runs.directory import Status
from mil_bench.spec import RunSpec
from mil_bench.studies.progress import PENDING, RunState
from mil_bench.studies.timing import Timings, in_words
from mil_bench.variants import titles
from mil_bench.words import counted

MAX_REASONS = 10
# Broken so that the table fits a terminal of 80 columns
COUNTS = ("runs", "done", "running", "failed", "inter-\nrupted", "to do", "time,\n1 job")


def overview(states: Sequence[RunState], timings: Timings, pending: Set[Status] = PENDING) -> Table:
    """A row per dataset and method, then the sum; ``pending`` statuses count as to do."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("dataset", "method"):
        table.add_column(column, no_wrap=True, overflow="fold")
    for column in COUNTS:
        table.add_column(column, justify="right")
    names = _Names([state.spec for state in states])
    groups: dict[tuple[str, str], list[RunState]] = {}
    for state in states:
        groups.setdefault((names.of(state.spec), state.spec.method), []).append(state)
    for (dataset, method), mine in groups.items():
        table.add_row(escape(dataset), escape(method), *_cells(mine, timings, pending))
    if len(groups) > 1:
        table.add_section()
        table.add_row("all", "", *_cells(states, timings, pending))
    return table


def time_left(
    states: Sequence[RunState], timings: Timings, jobs: int, pending: Set[Status] = PENDING
) -> str:
    """One sentence: the time until all runs are done when ``jobs`` are made at a time."""
    ahead = [state for state in states if state.status in {*pending, "running"}]
    if not ahead:
        return "nothing left to do"
    seconds = [state.seconds_left(timings) for state in ahead]
    known = [s for s in seconds if s is not None]
    unknown = len(seconds) - len(known)
    if not known:
        runs = counted(unknown, "run")
        return f"time unknown: no run of these datasets is finished yet ({runs} to do)"
    at_a_time = min(jobs, len(ahead))
    words = in_words(max(sum(known) / at_a_time, max(known)))
    beside = f", without {counted(unknown, 'run')} of unknown time" if unknown else ""
    return f"about {words} left, {at_a_time} at a time{beside}"


def running(states: Sequence[RunState], timings: Timings) -> RenderableType:
    """What is being made now, with epoch and last validation value; empty text if nothing is."""
    now = [state for state in states if state.status == "running"]
    if not now:
        return Text("nothing is running", style="dim")
    names = titles(state.spec for state in states)
    table = Table(
        "running now", "epoch", "validation", "left", box=box.SIMPLE_HEAD, show_edge=False,
        pad_edge=False,
    )  # fmt: skip
    for state in now:
        monitor = state.spec.trainer.monitor
        value = "" if math.isnan(state.value) else f"{monitor} {state.value:.4f}"
        left = state.seconds_left(timings)
        table.add_row(
            escape(names[state.spec.key]),
            f"{state.epoch}/{state.spec.trainer.epochs}",
            value,
            "?" if left is None else in_words(left),
        )
    return table


def failures(states: Sequence[RunState]) -> RenderableType:
    """Why runs have failed: each reason once, with how many runs it concerns."""
    failed = [state for state in states if state.status == "failed"]
    names = titles(state.spec for state in states)
    first = {state.reason: names[state.spec.key] for state in reversed(failed)}
    lines = []
    for reason, count in Counter(state.reason for state in failed).most_common(MAX_REASONS):
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(Text.from_markup(f"[red]failed[/] {escape(first[reason])}{more}: "))
        lines[-1].append(reason)
    return Group(*lines)


def print_plan(
    states: Sequence[RunState],
    timings: Timings,
    jobs: int,
    pending: Set[Status],
    console: Console,
) -> None:
    """What ``--dry-run`` says."""
    console.print(overview(states, timings, pending))
    todo = sum(state.status in pending for state in states)
    console.print(
        f"{counted(len(states), 'run')}, {todo} to do; "
        f"{time_left(states, timings, jobs, pending)}. Nothing was run.",
        highlight=False,
        soft_wrap=True,
    )


def _cells(states: Sequence[RunState], timings: Timings, pending: Set[Status]) -> tuple[str, ...]:
    counts = Counter(state.status for state in states)
    todo = sum(counts[status] for status in pending)
    ahead = [s.seconds_left(timings) for s in states if s.status in {*pending, "running"}]
    known = [seconds for seconds in ahead if seconds is not None]
    time = "?" if len(known) < len(ahead) else in_words(sum(known)) if ahead else ""
    shown = (counts["done"], counts["running"], counts["failed"], counts["interrupted"], todo)
    return (str(len(states)), *(str(n) if n else "[dim]·[/]" for n in shown), time)


class _Names:
    """A dataset is called by its name; by encoder and split too where a grid has several."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._encoders: dict[str, set[str]] = {}
        self._splits: dict[str, set[str]] = {}
        for spec in specs:
            self._encoders.setdefault(spec.dataset, set()).add(spec.encoder)
            self._splits.setdefault(spec.dataset, set()).add(spec.split)

    def of(self, spec: RunSpec) -> str:
        parts = [spec.dataset]
        parts += [spec.encoder] if len(self._encoders[spec.dataset]) > 1 else []
        parts += [spec.split] if len(self._splits[spec.dataset]) > 1 else []
        return " · ".join(parts)
