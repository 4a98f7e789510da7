"""``mil-bench run``: from runs asked for to runs made, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Protocol

from rich.console import Console

from mil_bench.base.console import print_note
from mil_bench.base.errors import RunError
from mil_bench.contract.variants import titles
from mil_bench.runs.console import announce, announce_runs, summarise, tell, with_bar
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.environment import edited
from mil_bench.runs.executors.local import run_here
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import (
    DataRequest,
    GridOutcome,
    Outcome,
    Prepare,
    Task,
    grouped_by_data,
    sentence_about,
)
from mil_bench.training.progress import ConsoleReporter


def run_grid(request: GridRequest, machine: MachineRequest, console: Console) -> GridOutcome:
    """Make every run of the grid that is not there yet and print what happened.

    Raises a ``MilBenchError`` when the grid cannot start at all (unknown names, bad settings,
    leaking split, unwritable folder).
    """
    prepare = cache(DataRequest.prepare)
    return run_tasks(plan(request, machine, prepare), machine, console, prepare)


def run_tasks(
    tasks: Sequence[Task],
    machine: MachineRequest,
    console: Console,
    prepare: Prepare | None = None,
) -> GridOutcome:
    """Make every task that is not done yet and print what happened; datasets may differ.

    ``prepare`` may remember datasets that are open already. A failing run is recorded and the
    others go on. Raises a ``MilBenchError`` when no run can be made.
    """
    machine.check()
    prepare = prepare or cache(DataRequest.prepare)
    for data in dict.fromkeys(task.data for task in tasks):
        announce(*prepare(data), machine.runs, console)
    announce_runs(tasks, machine, console)
    names = titles(task.spec for task in tasks)
    outcome, todo = GridOutcome(), []
    for task in grouped_by_data(tasks):
        known = _known(task, machine)
        if known is None:
            todo.append(task)
        else:
            outcome.add(known)
    for sentence in edited((known.spec for known in outcome.skipped), machine.runs):
        print_note(sentence, console)
    try:
        for i, made in enumerate(_make(todo, names, machine, console, prepare), 1):
            outcome.add(made)
            tell(made, names[made.spec.key], i, len(todo), console)
    except KeyboardInterrupt:
        console.print("interrupted; rerun the same command to resume.", soft_wrap=True)
        raise
    summarise(outcome, names, machine, console)
    return outcome


def _make(
    todo: list[Task],
    names: Mapping[str, str],
    machine: MachineRequest,
    console: Console,
    prepare: Prepare,
) -> Iterator[Outcome]:
    """Outcomes as they come; a run in this process shows its epochs, others only that they end."""
    if not todo:
        return iter(())
    if machine.executor == "local" and min(machine.jobs, len(todo)) == 1:
        return run_here(todo, machine, prepare, ConsoleReporter(console, names))
    return with_bar(executor_for(machine, prepare).run(todo), len(todo), console)


def _known(task: Task, machine: MachineRequest) -> Outcome | None:
    """What an existing run says, or ``None`` when the run is to be made."""
    try:
        return _look(task, machine, RunDirectory.of(machine.runs, task.spec))
    except (RunError, OSError) as error:
        return Outcome(task.spec, "failed", sentence_about(error))


def _look(task: Task, machine: MachineRequest, directory: RunDirectory) -> Outcome | None:
    status = directory.status()
    if machine.existing == "overwrite" and status != "absent":
        with directory.locked():
            directory.set_aside(machine.runs)
        return None
    if status == "done":
        return Outcome(task.spec, "skipped", "done before")
    if status == "failed" and machine.existing == "skip":
        reason = directory.read_failure()["error"]
        return Outcome(task.spec, "failed", f"failed before: {reason}")
    return None


# The interface of executors, and how one is chosen by name.


class Executor(Protocol):
    """Makes runs somewhere."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Make every task, ``jobs`` at a time; outcomes in order of completion.

        A failed or killed run is an outcome and stops no other. When the caller stops (Ctrl-C), the
        runs under way are ended; they can be continued. Raises a ``MilBenchError`` before the first
        run when none can be made.
        """


def executor_for(machine: MachineRequest, prepare: Prepare) -> Executor:
    """The executor that ``machine`` names; ``prepare`` opens data in this process."""
    match machine.executor:
        case "local":
            from mil_bench.runs.executors.local import LocalExecutor

            return LocalExecutor(machine, prepare)
        case "ray":
            from mil_bench.runs.executors.on_ray import RayExecutor

            return RayExecutor(machine)
        case "slurm":
            from mil_bench.runs.executors.on_slurm import SlurmExecutor

            return SlurmExecutor(machine)
