"""``mil-bench run``: a grid of methods, folds and seeds, or the grids of a study file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, names
from mil_bench.cli.requests import (
    check_names,
    declare_grid,
    declare_machine,
    grid_request,
    machine_request,
)

if TYPE_CHECKING:
    from mil_bench.runs.directory import RunStatus
    from mil_bench.runs.machine import MachineRequest
    from mil_bench.runs.studies.expand import ExpandedStudy
    from mil_bench.runs.studies.study_file import StudyFile
    from mil_bench.runs.task import Prepare, Task

IN_THE_FILE = (
    *("method", "dataset", "split", "fold", "seed", "set", "init", "allow_leaks", "plugin"),
    *("features", "encoder", "tree", "allow_missing", "drop_leaky_patients"),
)
"""Options of ``run`` that a study file replaces; those of folders and machines remain."""


def run(parser: Parser, words: Sequence[str]) -> int:
    """Check the words, then execute the grid; exit code 1 when a run has failed."""
    declare(parser)
    args = parser.parse(words)
    if args.study is not None:
        return _run_study(parser, args)
    if args.method is None or args.dataset is None:
        raise UsageError(
            "nothing to run: pass --method NAMES and --dataset NAME, or a study file; see "
            f"`{parser.prog} --help`."
        )
    request = grid_request(args, names("--method", args.method))

    from mil_bench.runs.plan import plan
    from mil_bench.runs.task import DataRequest

    # Cache: data are read once for all runs of a grid.
    machine, prepare = machine_request(args), cache(DataRequest.prepare)
    tasks = plan(request, machine, prepare)
    return execute(args, f"{args.method} on {args.dataset}", tasks, machine, prepare)


def declare(parser: Parser) -> None:
    """Declare everything that ``run`` takes."""
    parser.usage = (
        f"{parser.prog} --method NAMES --dataset NAME [options]\n"
        f"       {parser.prog} STUDY.toml [machine options]"
    )
    add(parser, "study", "--method", "--dataset", "--runs", "--allow-missing-datasets")
    declare_grid(parser)
    declare_machine(parser)


def execute(
    args: Namespace,
    title: str,
    tasks: Sequence[Task],
    machine: MachineRequest,
    prepare: Prepare,
) -> int:
    """Show the plan for ``--dry-run``, else execute it; return the exit code.

    The plan is stored first, so that other terminals can show its progress.
    """
    if args.dry_run:
        return _show(tasks, machine)
    from rich.console import Console

    from mil_bench.runs import grid
    from mil_bench.runs.studies.stored_plans import store_grid

    store_grid(machine.runs, title, tasks, machine.jobs)
    return 1 if grid.run_tasks(tasks, machine, Console(), prepare).failed else 0


def _show(tasks: Sequence[Task], machine: MachineRequest) -> int:
    from rich.console import Console

    from mil_bench.runs.studies.grid_status import print_plan
    from mil_bench.runs.studies.run_progress import PENDING, run_states, timings

    further: dict[str, set[RunStatus]] = {
        "skip": set(),
        "retry-failed": {"failed"},
        "overwrite": {"failed", "done"},
    }
    states = run_states(machine.runs, [task.spec for task in tasks])
    seconds = timings(machine.runs, {task.spec.dataset for task in tasks})
    pending = PENDING | further[machine.existing]
    print_plan(states, seconds, machine.jobs, pending, Console())
    return 0


def _run_study(parser: Parser, args: Namespace) -> int:
    """Check words and file, then execute; exit code 1 when a run has failed or is left out.

    Missing data stop the command before the first run, unless ``--allow-missing-datasets``.
    """
    path = Path(args.study)
    _check_words(parser, args)
    from mil_bench.runs.studies.study_file import read_study

    study = read_study(path)
    if study.precision is not None and args.precision != "auto":
        raise UsageError(f"--precision and {path} both set the precision; remove one of them.")
    _check_study_names(study, path.parent)
    from mil_bench.runs.studies.expand import StudyContext, expand
    from mil_bench.runs.task import DataRequest

    prepare = cache(DataRequest.prepare)
    machine = machine_request(args)
    around = StudyContext(path.parent, machine, args.precision, args.data_root, args.cache_dir)
    expanded = expand(study, around, prepare)
    if not args.allow_missing_datasets:
        expanded.check()
    code = execute(args, path.name, expanded.tasks, machine, prepare)
    return max(code, _left_out(expanded))


def _check_words(parser: Parser, args: Namespace) -> None:
    if not args.study.endswith(".toml"):
        raise UsageError(
            f"{args.study!r} is not a study file; expected a .toml file, or --method NAMES and "
            "--dataset NAME."
        )
    for name in IN_THE_FILE:
        # Only what differs from the default was written.
        if getattr(args, name) != parser.get_default(name):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} cannot be combined with a study file; write it in {args.study}, or run "
                "without the file (docs/studies.md)."
            )


def _check_study_names(study: StudyFile, folder: Path) -> None:
    plugins = [folder / plugin for plugin in study.plugins]
    for dataset in study.datasets:
        name = str(folder / dataset.name) if dataset.name.endswith(".toml") else dataset.name
        check_names(study.methods, name, plugins)


def _left_out(expanded: ExpandedStudy) -> int:
    """Repeat at the end what could not be run."""
    from rich.console import Console
    from rich.markup import escape

    for name, reason in expanded.unready.items():
        line = f"[red]left out[/] {escape(name)}: {escape(reason)}"
        Console().print(line, highlight=False, soft_wrap=True)
    return 1 if expanded.unready else 0
