"""``mil-bench run STUDY.toml``: the grid that a study file describes."""

from __future__ import annotations

from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.cli.grids import carry_out
from mil_bench.cli.machine import machine_request
from mil_bench.cli.parser import Parser
from mil_bench.errors import UsageError

if TYPE_CHECKING:
    from mil_bench.studies.expand import Expanded
    from mil_bench.studies.file import StudyFile

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
    from mil_bench.studies.file import read_study

    study = read_study(path)
    if study.precision is not None and given.precision != "auto":
        raise UsageError(f"--precision and {path} both say a precision; keep one of them.")
    _check_names(study, path.parent)
    from mil_bench.runs.task import DataRequest
    from mil_bench.studies.expand import expand
    from mil_bench.studies.parts import Surroundings

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
    from mil_bench.cli.plugins import check_names

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
