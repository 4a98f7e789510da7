"""``mil-bench run``: a grid of methods, folds and seeds, or of a study file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mil_bench.cli.experiment import declare_existing, declare_experiment, grid_request
from mil_bench.cli.grids import carry_out
from mil_bench.cli.machine import declare_machine, machine_request
from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import names
from mil_bench.cli.parser import Parser
from mil_bench.cli.study import run_study
from mil_bench.errors import UsageError


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
