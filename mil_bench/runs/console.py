"""Lines on the console about a grid: before, during and after its runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from mil_bench.base.console import ProgressDisplay, print_line, print_note
from mil_bench.base.errors import RunError
from mil_bench.base.plural import counted
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.split import Split
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import GridOutcome, RunOutcome, Task

STYLE = {"done": "green", "skipped": "dim", "failed": "red"}


def print_data(dataset: Dataset, split: Split, runs: Path, console: Console) -> None:
    """Print the facts and defects of the data, and save the split.

    Raises ``RunError`` when ``runs`` cannot be written.
    """
    try:
        path = split.save(runs / dataset.name / "splits")
    except OSError as error:
        raise RunError(
            f"cannot write in {runs} ({error.strerror}); choose another folder with --runs."
        ) from None
    print_line(
        f"{escape(dataset.name)} ({dataset.kind}): {len(dataset.manifest)} slides, "
        f"{len(dataset.taxonomy.leaves)} classes, {escape(dataset.store.encoder)} features of "
        f"{dataset.store.dim}, split {escape(split.name)} ({split.mode})",
        console,
    )
    for sentence in (*dataset.findings, *map(str, split.notes)):
        print_note(sentence, console)
    print_line(f"[dim]split saved as {escape(str(path))}[/]", console)


def print_runs_ahead(tasks: Sequence[Task], machine: MachineRequest, console: Console) -> None:
    """Print how many runs follow, where and with what."""
    precisions = ", ".join(dict.fromkeys(task.spec.precision for task in tasks))
    limit = "" if machine.executor == "local" else "up to "
    print_line(
        f"{counted(len(tasks), 'run')}, {limit}{machine.jobs} at a time on {machine.where()}, "
        f"{counted(machine.threads, 'CPU thread')} each, precision {precisions}",
        console,
    )


def with_bar(outcomes: Iterator[RunOutcome], total: int, console: Console) -> Iterator[RunOutcome]:
    """Show the progress of the whole grid on a terminal."""
    with ProgressDisplay("runs", total, console) as display:
        for outcome in outcomes:
            display.advance()
            yield outcome


def print_outcome(
    outcome: RunOutcome, title: str, number: int, total: int, console: Console
) -> None:
    """Print the line of a run that has just ended."""
    print_line(
        f"[{number:>{len(str(total))}}/{total}] [{STYLE[outcome.status]}]{outcome.status:<7}[/] "
        f"{escape(title)} · {escape(outcome.sentence)}",
        console,
    )


def print_summary(
    grid: GridOutcome, titles: Mapping[str, str], machine: MachineRequest, console: Console
) -> None:
    """Print counts, then a line for every failed run; ``titles`` are by key."""
    print_line(
        f"{len(grid.done)} done, {len(grid.skipped)} done before, "
        f"{len(grid.failed)} failed; runs are in {escape(str(machine.runs))}",
        console,
    )
    for failed in grid.failed:
        folder = RunDirectory.of(machine.runs, failed.spec).path
        print_line(
            f"[red]failed[/] {escape(titles[failed.spec.key])}: {escape(failed.sentence)} "
            f"[dim]({escape(str(folder))})[/]",
            console,
        )
    if grid.failed:
        command = f"mil-bench retry --failed --runs {shlex.quote(str(machine.runs))}"
        print_line(f"After fixing the cause, run: {escape(command)}", console)
