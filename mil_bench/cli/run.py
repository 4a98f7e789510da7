"""``mil-bench run``: a grid of methods, folds and seeds, or of a study file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from typing import Literal

from mil_bench.cli.grids import carry_out
from mil_bench.cli.machine import declare_machine, machine_request
from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import names, numbers, settings
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import data_request
from mil_bench.cli.study import run_study
from mil_bench.errors import UsageError

Folds = Literal["all"] | list[int]


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
    methods = names("--method", given.method)
    folds: Folds = "all" if given.fold == "all" else numbers("--fold", given.fold)
    seeds = numbers("--seed", given.seed)
    pairs = settings(given.set)
    from mil_bench.cli.plugins import check_names

    check_names(methods, given.dataset, given.plugin)
    return _make(given, methods, folds, seeds, pairs)


def _make(
    given: Namespace,
    methods: list[str],
    folds: Folds,
    seeds: list[int],
    pairs: dict[str, str],
) -> int:
    from mil_bench.runs.plan import GridRequest, plan
    from mil_bench.runs.task import DataRequest

    request = GridRequest(
        data_request(given), methods, folds, seeds, pairs, precision=given.precision
    )
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
    parser.add_argument(
        "--existing",
        choices=("skip", "retry-failed", "overwrite"),
        default="skip",
        help="What to do with runs that exist.",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="Print the plan: what is done, what is to do and how long it will take; run nothing.",
    )
    parser.add_argument(
        "--allow-missing-datasets",
        action="store_true",
        help="Make the runs of a study whose data are there; the exit code is 1.",
    )
    add_shared(parser, "plugin")
    _declare_experiment(parser)
    data = parser.add_argument_group("data")
    add_shared(data, "data_root", "features", "encoder", "tree", "allow_missing")
    add_shared(data, "drop_leaky_patients", "cache_dir")
    declare_machine(parser)


def _declare_experiment(parser: Parser) -> None:
    group = parser.add_argument_group("experiment")
    group.add_argument(
        "--split",
        metavar="NAME",
        help="official, kfold-5, mccv-10, or a split file or folder (default: the dataset's).",
    )
    group.add_argument(
        "--fold", metavar="NUMBERS", default="all", help="all, or numbers such as 0,2,4."
    )
    group.add_argument("--seed", metavar="NUMBERS", default="0", help="Numbers such as 0,1,2.")
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="An option of the method or the trainer, such as lr=1e-4; repeatable.",
    )
    group.add_argument(
        "--allow-leaks",
        action="store_true",
        help="Run a split whose sets share patients; results are marked.",
    )
