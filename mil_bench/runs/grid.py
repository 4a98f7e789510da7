"""Execute the runs of a grid and print what happens to them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape

from mil_bench.bags.features_lock import LOCKS_FOLDER, save_lock
from mil_bench.base.console import ProgressDisplay, print_line, print_note
from mil_bench.base.error_location import defined_at
from mil_bench.base.errors import RunError, counted
from mil_bench.base.registry import OURS
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.split import Split
from mil_bench.contract.variants import titles
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.environment import code_digest
from mil_bench.runs.executors.local import LocalExecutor, run_here
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import (
    GridOutcome,
    Prepare,
    RunOutcome,
    Task,
    grouped_by_data,
    remembered,
    sentence_about,
)
from mil_bench.training.progress import ConsoleReporter


def run_tasks(
    tasks: Sequence[Task],
    machine: MachineRequest,
    console: Console,
    prepare: Prepare | None = None,
) -> GridOutcome:
    """Execute every task that is not complete and print what happens; datasets may differ.

    ``prepare`` may remember datasets that are open already. A failed run is recorded and stops no
    other. Raises a ``MilBenchError`` when no run can start.
    """
    machine.check()  # before data are loaded
    prepare = prepare or remembered()
    # Every dataset once, in order of the tasks.
    for data in dict.fromkeys(task.data for task in tasks):
        _print_data(*prepare(data), machine.runs, console)
    _print_runs_ahead(tasks, machine, console)
    names = titles(task.spec for task in tasks)
    grid, todo = GridOutcome(), []
    for task in grouped_by_data(tasks):
        outcome = _earlier_outcome(task, machine)
        if outcome is None:
            todo.append(task)
        else:
            grid.add(outcome)
    for sentence in stale_plugins((skipped.spec for skipped in grid.skipped), machine.runs):
        print_note(sentence, console)
    try:
        for number, outcome in enumerate(_outcomes(todo, names, machine, console, prepare), 1):
            grid.add(outcome)
            _print_outcome(outcome, names[outcome.spec.key], number, len(todo), console)
    except KeyboardInterrupt:
        print_line("interrupted; rerun the same command to resume.", console)
        raise
    # After the runs, because it reads test slides, and nothing before a chosen model may.
    for data in dict.fromkeys(task.data for task in tasks):
        _describe_features(prepare(data)[0], machine.runs, console)
    _print_summary(grid, names, machine, console)
    return grid


def _describe_features(dataset: Dataset, runs: Path, console: Console) -> None:
    """Store what recognises the features; the runs are done, so that a full disk is a note."""
    try:
        save_lock(dataset.store, runs / dataset.name / LOCKS_FOLDER)
    except OSError as error:
        print_note(f"the features of {dataset.name} are not described ({error.strerror}).", console)


def _earlier_outcome(task: Task, machine: MachineRequest) -> RunOutcome | None:
    """The outcome of an existing run, or ``None`` when the run is to be executed."""
    try:
        return _read_earlier(task, machine, RunDirectory.of(machine.runs, task.spec))
    except (RunError, OSError) as error:
        return RunOutcome(task.spec, "failed", sentence_about(error))


def _read_earlier(
    task: Task, machine: MachineRequest, directory: RunDirectory
) -> RunOutcome | None:
    status = directory.status()
    if machine.existing == "overwrite" and status != "absent":
        with directory.locked():  # locked: another process may be executing it
            directory.set_aside(machine.runs)
        return None
    if status == "done":
        return RunOutcome(task.spec, "skipped", "done before")
    if status == "failed" and machine.existing == "skip":
        reason = directory.read_failure()["error"]
        return RunOutcome(task.spec, "failed", f"failed before: {reason}")
    return None


def stale_plugins(complete: Iterable[RunSpec], runs: Path) -> list[str]:
    """Return a sentence per method from outside whose file changed after ``complete`` runs.

    A run key holds the ``version`` of a method, not its code, so that a changed comment reruns
    nothing. Who edits a plug-in must raise its version; this finds where that was forgotten.
    """
    # Our methods change with the version of the harness.
    outside = {entry.name for entry in METHODS if entry.origin != OURS}
    stale: Counter[str] = Counter()
    for spec in complete:
        if spec.method in outside:
            digest = RunDirectory.of(runs, spec).read_environment().get("code")
            # None: runs before digests were stored.
            stale[spec.method] += digest not in (None, code_digest(METHODS.get(spec.method)))
    return [
        f"{name} ({defined_at(METHODS.get(name))}) was edited after {counted(number, 'run')} of it "
        "ended; if the change affects results, raise its version, or use --overwrite."
        for name, number in stale.items()
        if number
    ]


def _outcomes(
    todo: list[Task],
    names: Mapping[str, str],
    machine: MachineRequest,
    console: Console,
    prepare: Prepare,
) -> Iterator[RunOutcome]:
    """Outcomes as they come. A run in this process shows its epochs, others only their end."""
    if not todo:
        return iter(())
    # One run at a time has a bar of epochs.
    if machine.executor == "local" and min(machine.jobs, len(todo)) == 1:
        return run_here(todo, machine, prepare, ConsoleReporter(console, names))
    return _with_bar(executor_for(machine, prepare).run(todo), len(todo), console)


class Executor(Protocol):
    """Executes runs somewhere."""

    def run(self, tasks: Sequence[Task]) -> Iterator[RunOutcome]:
        """Execute every task, ``jobs`` at a time, and yield outcomes in order of completion.

        A failed or killed run is an outcome and stops no other. When the caller stops (Ctrl-C), the
        current runs are ended; they can be resumed. Raises a ``MilBenchError`` before the first run
        when none can start.
        """


def executor_for(machine: MachineRequest, prepare: Prepare) -> Executor:
    """Return the executor that ``machine`` names; ``prepare`` opens data in this process."""
    match machine.executor:  # imported here, because ray and submitit are extras
        case "local":
            return LocalExecutor(machine, prepare)
        case "ray":
            from mil_bench.runs.executors.on_ray import RayExecutor

            return RayExecutor(machine)
        case "slurm":
            from mil_bench.runs.executors.on_slurm import SlurmExecutor

            return SlurmExecutor(machine)


STYLE = {"done": "green", "skipped": "dim", "failed": "red"}


def _print_data(dataset: Dataset, split: Split, runs: Path, console: Console) -> None:
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
        f"{escape(dataset.name)} ({dataset.kind}): {counted(len(dataset.manifest), 'slide')}, "
        f"{counted(len(dataset.taxonomy.leaves), 'class', 'classes')}, "
        f"{escape(dataset.store.encoder)} features of "
        f"{dataset.store.dim}, split {escape(split.name)} ({split.mode})",
        console,
    )
    for sentence in (*dataset.findings, *map(str, split.notes)):
        print_note(sentence, console)
    print_line(f"[dim]split saved as {escape(str(path))}[/]", console)


def _print_runs_ahead(tasks: Sequence[Task], machine: MachineRequest, console: Console) -> None:
    """Print how many runs follow, where and with what."""
    precisions = ", ".join(dict.fromkeys(task.spec.precision for task in tasks))
    limit = "" if machine.executor == "local" else "up to "
    print_line(
        f"{counted(len(tasks), 'run')}, {limit}{machine.jobs} at a time on {machine.where()}, "
        f"{counted(machine.threads, 'CPU thread')} each, precision {precisions}",
        console,
    )
    begun = {task.init: task.spec.init for task in tasks if task.init and task.spec.init}
    for path, digest in begun.items():
        print_line(f"initial weights: {escape(str(path))} (SHA-256 {digest[:12]})", console)


def _with_bar(outcomes: Iterator[RunOutcome], total: int, console: Console) -> Iterator[RunOutcome]:
    """Show the progress of the whole grid on a terminal."""
    with ProgressDisplay("runs", total, console) as display:
        for outcome in outcomes:
            display.advance()
            yield outcome


def _print_outcome(
    outcome: RunOutcome, title: str, number: int, total: int, console: Console
) -> None:
    """Print the line of a run that has just ended."""
    print_line(
        f"[{number:>{len(str(total))}}/{total}] [{STYLE[outcome.status]}]{outcome.status:<7}[/] "
        f"{escape(title)} · {escape(outcome.sentence)}",
        console,
    )


def _print_summary(
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
