"""What ``mil-bench status`` shows of a folder of runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mil_bench.base.errors import RunError, counted
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import titles
from mil_bench.runs.directory import RunStatus, run_directories
from mil_bench.runs.studies.run_progress import (
    PENDING,
    RunState,
    Timings,
    in_words,
    run_states,
    timings,
)
from mil_bench.runs.studies.stored_plans import StoredGrid, no_runs, stored_grids


@dataclass
class GridStatus:
    """The grids to show, their runs (each once), and notes on what could not be read."""

    grids: list[StoredGrid]
    states: list[RunState]
    timings: Timings
    hidden: int = 0  # earlier grids
    notes: list[str] = field(default_factory=list)

    @property
    def unfinished(self) -> bool:
        """Return whether a run is running or still to do."""
        return any(state.status in {*PENDING, "running"} for state in self.states)

    def rendered(self) -> RenderableType:
        """Return grids, time left, current runs, counts, failures and notes, in this order.

        What changes comes first, so that it stays in view where the screen is short.
        """
        now = sum(state.status == "running" for state in self.states)
        # Running now says how many at a time; else as planned.
        jobs = now or max((grid.jobs for grid in self.grids), default=1)
        parts: list[RenderableType] = [
            Text.from_markup(f"[bold]{escape(grid.title)}[/]  [dim]planned {grid.written}[/]")
            for grid in self.grids
        ]
        parts += [Text(time_left(self.states, self.timings, jobs))]
        parts += [running(self.states, self.timings), overview(self.states, self.timings)]
        parts += [failures(self.states)]
        if any(state.status == "failed" for state in self.states):
            parts.append(Text("rerun them with `mil-bench retry --failed`", style="dim"))
        if self.hidden:
            parts.append(Text(f"{counted(self.hidden, 'earlier grid')}: see --all", style="dim"))
        return Group(*parts, *(Text(note, style="yellow") for note in self.notes))


def grid_status(runs: Path, everything: bool = False) -> GridStatus:
    """Return the latest grid and those with running runs; or every grid and run.

    Raises ``DataError`` when there is no grid and no run under ``runs``.
    """
    grids, notes = stored_grids(runs)
    states = {spec.key: state for grid in grids for spec, state in _states_of(runs, grid)}
    shown = [
        grid
        for i, grid in enumerate(grids)
        # Older grids only while they run.
        if everything or i == 0 or any(states[s.key].status == "running" for s in grid.specs)
    ]
    if everything or not grids:
        others = [spec for spec in _all_specs(runs, notes) if spec.key not in states]
        states |= {state.spec.key: state for state in run_states(runs, others)}
        seen = list(states.values())
    else:
        # Every run once, in order of the grids.
        seen = [states[key] for key in dict.fromkeys(s.key for g in shown for s in g.specs)]
    if not seen:
        raise no_runs(runs)
    times = timings(runs, {state.spec.dataset for state in seen})
    return GridStatus(shown, seen, times, len(grids) - len(shown), notes)


def _states_of(runs: Path, grid: StoredGrid) -> list[tuple[RunSpec, RunState]]:
    return list(zip(grid.specs, run_states(runs, grid.specs), strict=True))


def _all_specs(runs: Path, notes: list[str]) -> list[RunSpec]:
    """Definitions of all run folders; an unreadable one becomes a note."""
    specs = []
    for directory in run_directories(runs):
        try:
            spec = directory.read_definition()
        except RunError as error:
            notes.append(str(error))
            continue
        if isinstance(spec, RunSpec):  # others have no training that could be under way
            specs.append(spec)
    return specs


MAX_REASONS = 10
# With line breaks, so that the table fits a terminal of 80 columns
COUNTS = ("runs", "done", "running", "failed", "inter-\nrupted", "to do", "time,\n1 job")


def overview(
    states: Sequence[RunState], timings: Timings, pending: Set[RunStatus] = PENDING
) -> Table:
    """Return a row per dataset and method, then the sum; ``pending`` statuses count as to do."""
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
    states: Sequence[RunState], timings: Timings, jobs: int, pending: Set[RunStatus] = PENDING
) -> str:
    """Return one sentence: the time until all runs are done with ``jobs`` at a time."""
    ahead = [state for state in states if state.status in {*pending, "running"}]
    if not ahead:
        return "nothing left to do"
    seconds = [state.seconds_left(timings) for state in ahead]
    estimates = [s for s in seconds if s is not None]
    unknown = len(seconds) - len(estimates)
    if not estimates:
        runs = counted(unknown, "run")
        return f"time unknown: no run of these datasets is complete yet ({runs} to do)"
    at_a_time = min(jobs, len(ahead))
    # The longest run bounds the time from below, however many run at a time.
    words = in_words(max(sum(estimates) / at_a_time, max(estimates)))
    rest = f", without {counted(unknown, 'run')} of unknown time" if unknown else ""
    return f"about {words} left, {at_a_time} at a time{rest}"


def running(states: Sequence[RunState], timings: Timings) -> RenderableType:
    """Return the current runs with epoch, last validation value and time left."""
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
    """Return why runs have failed: each reason once, with the number of its runs."""
    failed = [state for state in states if state.status == "failed"]
    names = titles(state.spec for state in states)
    # Reversed: the first run of a reason stays.
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
    pending: Set[RunStatus],
    console: Console,
) -> None:
    """Print the plan of ``--dry-run``."""
    console.print(overview(states, timings, pending))
    todo = sum(state.status in pending for state in states)
    console.print(
        f"{counted(len(states), 'run')}, {todo} to do; "
        f"{time_left(states, timings, jobs, pending)}. Nothing was run.",
        highlight=False,
        soft_wrap=True,
    )


def _cells(
    states: Sequence[RunState], timings: Timings, pending: Set[RunStatus]
) -> tuple[str, ...]:
    counts = Counter(state.status for state in states)
    todo = sum(counts[status] for status in pending)
    ahead = [s.seconds_left(timings) for s in states if s.status in {*pending, "running"}]
    estimates = [seconds for seconds in ahead if seconds is not None]
    # One unknown run makes the sum unknown.
    time = "?" if len(estimates) < len(ahead) else in_words(sum(estimates)) if ahead else ""
    shown = (counts["done"], counts["running"], counts["failed"], counts["interrupted"], todo)
    return (str(len(states)), *(str(n) if n else "[dim]·[/]" for n in shown), time)


class _Names:
    """Names of datasets, with encoder and split where a grid has several of them."""

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
