"""``mil-bench run``: a grid of methods, folds and seeds, from the request to the summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mil_bench.bags.placement import choose_home
from mil_bench.bags.splits.split import Split
from mil_bench.dataset import Dataset
from mil_bench.errors import RunError
from mil_bench.runs.devices import devices
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import Outcome, Workshop, sentence_about
from mil_bench.runs.local import run_in_processes
from mil_bench.runs.plan import GridRequest, plan, prepare
from mil_bench.spec import RunSpec
from mil_bench.training.precision import feature_type
from mil_bench.training.progress import reporter_for

__all__ = ["GridOutcome", "GridRequest", "run_grid"]

STYLE = {"done": "green", "skipped": "dim", "failed": "red"}


@dataclass
class GridOutcome:
    """Every run of a grid by how it ended. ``skipped`` runs were done before."""

    done: list[Outcome] = field(default_factory=list)
    skipped: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Put an outcome into its list."""
        getattr(self, outcome.status).append(outcome)


def run_grid(request: GridRequest, console: Console) -> GridOutcome:
    """Make every run of the grid that is not there yet and print what happened.

    A failing run is recorded and the others go on. Raises a ``MilBenchError`` when the grid cannot
    start at all (unknown names, bad settings, leaking split, unwritable folder).
    """
    places = devices(request.device, request.jobs)
    dataset, split = prepare(request)
    specs = plan(request, dataset, split, places[0])
    _announce(request, dataset, split, console)
    used = ", ".join(dict.fromkeys(map(str, places)))
    precisions = ", ".join(dict.fromkeys(spec.precision for spec in specs))
    console.print(
        f"{len(specs)} runs, {request.jobs} at a time on {used}, {request.threads} CPU thread(s) "
        f"each, precision {precisions}",
        highlight=False,
        soft_wrap=True,
    )
    outcome, todo = GridOutcome(), []
    for spec in specs:
        known = _known(request, spec)
        if known is None:
            todo.append(spec)
        else:
            outcome.add(known)
    try:
        for i, made in enumerate(_make(request, dataset, split, todo, places, console), 1):
            outcome.add(made)
            _tell(made, i, len(todo), console)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on where it stopped.", soft_wrap=True)
        raise
    _summarise(request, outcome, console)
    return outcome


def _make(
    request: GridRequest,
    dataset: Dataset,
    split: Split,
    todo: list[RunSpec],
    places: list[torch.device],
    console: Console,
) -> Iterator[Outcome]:
    """Outcomes as they come: in this process for one job, in worker processes for more."""
    if not todo:
        return
    places = places[: len(todo)]
    homes = {
        dtype: choose_home(
            request.cache, dataset.store, dtype, places, standardize=dataset.standardize
        )
        for dtype in {feature_type(spec.precision) for spec in todo}
    }
    if len(places) > 1:
        yield from _with_bar(run_in_processes(request, todo, places, homes), len(todo), console)
    else:
        workshop = Workshop(dataset, split, places[0], request.threads, homes)
        reporter = reporter_for(console)
        for spec in todo:
            yield workshop.execute(spec, RunDirectory.of(request.runs, spec), reporter)


def _with_bar(outcomes: Iterator[Outcome], total: int, console: Console) -> Iterator[Outcome]:
    """Show the progress of the whole grid on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("runs", total=total)
    with bar if console.is_terminal else nullcontext():
        for outcome in outcomes:
            bar.advance(task)
            yield outcome


def _known(request: GridRequest, spec: RunSpec) -> Outcome | None:
    """What an existing run says, or ``None`` when the run is to be made."""
    try:
        return _look(request, spec, RunDirectory.of(request.runs, spec))
    except (RunError, OSError) as error:
        return Outcome(spec, "failed", sentence_about(error))


def _look(request: GridRequest, spec: RunSpec, directory: RunDirectory) -> Outcome | None:
    status = directory.status()
    if request.existing == "overwrite" and status != "absent":
        with directory.locked():
            directory.set_aside(request.runs)
        return None
    if status == "done":
        return Outcome(spec, "skipped", "done before")
    if status == "failed" and request.existing == "skip":
        reason = directory.read_failure()["error"]
        return Outcome(spec, "failed", f"failed before: {reason}")
    return None


def _announce(request: GridRequest, dataset: Dataset, split: Split, console: Console) -> None:
    """Say what will be run and what is known to be wrong with the data; save the split."""
    try:
        saved = split.save(request.runs / dataset.name / "splits")
    except OSError as error:
        raise RunError(
            f"cannot write in {request.runs} ({error.strerror}); choose another folder with --runs."
        ) from None
    console.print(
        f"{escape(dataset.name)} ({dataset.kind}): {len(dataset.manifest)} slides, "
        f"{len(dataset.taxonomy.leaves)} classes, {escape(dataset.store.encoder)} features of "
        f"{dataset.store.dim}, split {escape(split.name)} ({split.mode})",
        highlight=False,
        soft_wrap=True,
    )
    for note in (*dataset.findings, *split.notes):
        console.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
    console.print(f"[dim]split saved as {escape(str(saved))}[/]", highlight=False, soft_wrap=True)


def _tell(made: Outcome, number: int, total: int, console: Console) -> None:
    """A line for a run that has just ended."""
    console.print(
        f"[{number:>{len(str(total))}}/{total}] [{STYLE[made.status]}]{made.status:<7}[/] "
        f"{escape(made.spec.title)} · {escape(made.sentence)}",
        highlight=False,
        soft_wrap=True,
    )


def _summarise(request: GridRequest, outcome: GridOutcome, console: Console) -> None:
    """Counts, then a line for every run that is not done."""
    console.print(
        f"{len(outcome.done)} done, {len(outcome.skipped)} done before, "
        f"{len(outcome.failed)} failed; runs are in {escape(str(request.runs))}",
        highlight=False,
        soft_wrap=True,
    )
    for failed in outcome.failed:
        place = RunDirectory.of(request.runs, failed.spec).path
        console.print(
            f"[red]failed[/] {escape(failed.spec.title)}: {escape(failed.sentence)} "
            f"[dim]({escape(str(place))})[/]",
            highlight=False,
            soft_wrap=True,
        )
    if outcome.failed and request.existing == "skip":
        console.print("Failed runs are tried again with --existing retry-failed.", soft_wrap=True)
