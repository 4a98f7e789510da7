"""``mil-bench run``: a grid of methods, folds and seeds, or of a study file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser, names
from mil_bench.cli.requests import (
    declare_existing,
    declare_experiment,
    declare_machine,
    grid_request,
    machine_request,
)

if TYPE_CHECKING:
    from mil_bench.runs.directory import Status
    from mil_bench.runs.machine import MachineRequest
    from mil_bench.runs.studies.expand import Expanded
    from mil_bench.runs.studies.study_file import StudyFile
    from mil_bench.runs.task import Prepare, Task


def run(parser: Parser, words: Sequence[str]) -> int:
    """Check the words, then make the grid; exit code 1 when a run has failed."""
    _declare(parser)
    given = parser.parse(words)
    if given.study is not None:
        return run_study(parser, given)
    if given.method is None or given.dataset is None:
        raise UsageError(
            "say what to run: --method NAMES and --dataset NAME, or a study file; see "
            f"`{parser.prog} --help`."
        )
    request = grid_request(given, names("--method", given.method))

    from mil_bench.runs.plan import plan
    from mil_bench.runs.task import DataRequest

    machine, prepare = machine_request(given), cache(DataRequest.prepare)
    tasks = plan(request, machine, prepare)
    return carry_out(given, f"{given.method} on {given.dataset}", tasks, machine, prepare)


def _declare(parser: Parser) -> None:
    parser.usage = (
        f"{parser.prog} --method NAMES --dataset NAME [options]\n"
        f"       {parser.prog} STUDY.toml [machine options]"
    )
    parser.add_argument(
        "study", metavar="STUDY.toml", nargs="?", help="A study file: a grid over many datasets."
    )
    parser.add_argument("--method", "-m", metavar="NAMES", help="One or more, comma separated.")
    add_shared(parser, "dataset", "runs")
    declare_existing(parser)
    parser.add_argument(
        "--allow-missing-datasets",
        action="store_true",
        help="Make the runs of a study whose data are there; the exit code is 1.",
    )
    add_shared(parser, "plugin")
    declare_experiment(parser)
    declare_machine(parser)


# ``mil-bench run STUDY.toml``: the grid that a study file describes.

IN_THE_FILE = (
    *("method", "dataset", "split", "fold", "seed", "set", "allow_leaks", "plugin"),
    *("features", "encoder", "tree", "allow_missing", "drop_leaky_patients"),
)
"""Options of ``run`` that a study file says itself; those of folders and machines stay."""


def run_study(parser: Parser, given: Namespace) -> int:
    """Check words and file, then make the grid; exit code 1 when a run has failed or is left out.

    Data that are missing stop the command before the first run, unless
    ``--allow-missing-datasets``.
    """
    path = Path(given.study)
    _check_words(parser, given)
    from mil_bench.runs.studies.study_file import read_study

    study = read_study(path)
    if study.precision is not None and given.precision != "auto":
        raise UsageError(f"--precision and {path} both say a precision; keep one of them.")
    _check_names(study, path.parent)
    from mil_bench.runs.studies.expand import Surroundings, expand
    from mil_bench.runs.task import DataRequest

    prepare = cache(DataRequest.prepare)
    machine = machine_request(given)
    around = Surroundings(path.parent, machine, given.precision, given.data_root, given.cache_dir)
    expanded = expand(study, around, prepare)
    if not given.allow_missing_datasets:
        expanded.check()
    code = carry_out(given, path.name, expanded.tasks, machine, prepare)
    return max(code, _left_out(expanded))


def _check_words(parser: Parser, given: Namespace) -> None:
    if not given.study.endswith(".toml"):
        raise UsageError(
            f"{given.study!r} is no study file; expected a .toml file, or --method NAMES and "
            "--dataset NAME."
        )
    for name in IN_THE_FILE:
        if getattr(given, name) != parser.get_default(name):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} cannot stand beside a study file, which says it itself; write it in "
                f"{given.study}, or leave the file out (docs/studies.md)."
            )


def _check_names(study: StudyFile, folder: Path) -> None:
    from mil_bench.cli.requests import check_names

    plugins = [folder / plugin for plugin in study.plugins]
    for dataset in study.datasets:
        name = str(folder / dataset.name) if dataset.name.endswith(".toml") else dataset.name
        check_names(study.methods, name, plugins)


def _left_out(expanded: Expanded) -> int:
    """Say again, at the end, what could not be run."""
    from rich.console import Console
    from rich.markup import escape

    for name, reason in expanded.unready.items():
        line = f"[red]left out[/] {escape(name)}: {escape(reason)}"
        Console().print(line, highlight=False, soft_wrap=True)
    return 1 if expanded.unready else 0


# What commands that make a grid have in common: show its plan, or store the plan and make it.


def carry_out(
    given: Namespace,
    title: str,
    tasks: Sequence[Task],
    machine: MachineRequest,
    prepare: Prepare,
) -> int:
    """Obey ``--dry-run``, or make the runs; the exit code. Other terminals see the stored plan."""
    if given.dry_run:
        return _show(tasks, machine)
    from rich.console import Console

    from mil_bench.runs import grid
    from mil_bench.runs.studies.stored_plans import store_grid

    store_grid(machine.runs, title, tasks, machine.jobs)
    return 1 if grid.run_tasks(tasks, machine, Console(), prepare).failed else 0


def _show(tasks: Sequence[Task], machine: MachineRequest) -> int:
    from rich.console import Console

    from mil_bench.runs.studies.grid_status import print_plan
    from mil_bench.runs.studies.run_progress import PENDING, look, timings

    further: dict[str, set[Status]] = {
        "skip": set(),
        "retry-failed": {"failed"},
        "overwrite": {"failed", "done"},
    }
    states = look(machine.runs, [task.spec for task in tasks])
    known = timings(machine.runs, {task.spec.dataset for task in tasks})
    pending = PENDING | further[machine.existing]
    print_plan(states, known, machine.jobs, pending, Console())
    return 0
