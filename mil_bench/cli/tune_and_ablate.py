"""``mil-bench tune``: search settings by validation, then run the default and the best."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser, at_least, names, numbers
from mil_bench.cli.requests import (
    declare_existing,
    declare_experiment,
    declare_machine,
    grid_request,
    machine_request,
)
from mil_bench.cli.run import carry_out


def tune(parser: Parser, words: Sequence[str]) -> int:
    """Check the words, then search and refit; exit code 1 when a run has failed."""
    _declare(parser)
    given = parser.parse(words)
    only = names("--only", given.only) if given.only else []
    fix = names("--fix", given.fix) if given.fix else []
    search_seeds = numbers("--search-seed", given.search_seed)
    from mil_bench.tuning.search_syntax import searches

    asked = searches(given.search)
    grid = grid_request(given, _methods(given.method, given.plugin))
    given.existing = "retry-failed" if given.retry_failed else "skip"

    from rich.console import Console

    from mil_bench.tuning.search import Rules, TuneRequest
    from mil_bench.tuning.tune import run_tuning

    request = TuneRequest(
        grid=grid,
        trials=given.trials,
        rules=Rules(
            given.objective, given.sampler, given.pruner, given.max_memory_mb, given.max_parameters
        ),
        asked=tuple(asked),
        only=tuple(only),
        fix=tuple(fix),
        search_seeds=tuple(search_seeds),
        shared=given.shared,
        storage=given.storage,
        refit=given.refit,
    )
    return 1 if run_tuning(request, machine_request(given), Console()).failed else 0


def _methods(text: str, plugins: Sequence[object]) -> list[str]:
    """The methods named; ``all`` is every registered one."""
    if text != "all":
        return names("--method", text)
    from pathlib import Path

    from mil_bench.base.plugins import load_plugins
    from mil_bench.methods import METHODS

    load_plugins([path for path in plugins if isinstance(path, Path)])
    return METHODS.names()


def _declare(parser: Parser) -> None:
    parser.usage = f"{parser.prog} --method NAMES --dataset NAME [--trials N] [options]"
    parser.add_argument(
        "--method", "-m", metavar="NAMES", required=True, help="Comma separated, or all."
    )
    add_shared(parser, "dataset", required=True)
    parser.add_argument(
        "--trials",
        metavar="N",
        type=at_least(1),
        default=50,
        help="Trials of each search, the default configuration included: exactly so many, "
        "whatever --jobs. Every method gets the same.",
    )
    _declare_search(parser)
    add_shared(parser, "runs", "plugin")
    parser.add_argument(
        "--retry-failed", action="store_true", help="Try failed trials and runs again."
    )
    parser.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Run the default and the best settings on every fold and --seed afterwards.",
    )
    declare_experiment(parser)
    declare_machine(parser)


def _declare_search(parser: Parser) -> None:
    group = parser.add_argument_group("search")
    group.add_argument(
        "--objective",
        metavar="SCORE",
        default="balanced_accuracy",
        help="The validation score to be good at; any score of a board.",
    )
    group.add_argument(
        "--search",
        metavar="FIELD=RANGE",
        action="append",
        default=[],
        help="A range such as lr=1e-5:1e-3:log, or choices such as width=128,256, instead of the "
        "declared one or for another field; repeatable.",
    )
    group.add_argument("--only", metavar="FIELDS", help="Of the declared fields, search these.")
    group.add_argument("--fix", metavar="FIELDS", help="Leave these fields at their default.")
    group.add_argument(
        "--sampler",
        choices=("auto", "tpe", "gp", "random", "grid"),
        default="auto",
        help="auto is gp up to 100 trials, tpe above.",
    )
    group.add_argument(
        "--pruner",
        choices=("none", "median", "wilcoxon"),
        default="none",
        help="Ends bad trials between their runs; budgets are equal only with none.",
    )
    group.add_argument(
        "--search-seed", metavar="NUMBERS", default="0", help="Seeds of each trial's runs."
    )
    group.add_argument(
        "--shared",
        action="store_true",
        help="One search for all folds, even where they train on each other's test slides; rows "
        "are marked.",
    )
    group.add_argument(
        "--max-memory-mb", metavar="MB", type=at_least(1), help="Limit of peak memory of a run."
    )
    group.add_argument(
        "--max-parameters", metavar="N", type=at_least(1), help="Limit of trained parameters."
    )
    group.add_argument(
        "--storage",
        metavar="URL",
        help="postgresql+psycopg://USER@HOST/DATABASE for several machines, or sqlite:///FILE "
        "(default: .search/tuning.db in --runs).",
    )


# ``mil-bench ablate``: components of a method, or values of its settings, and what they pay.


def ablate(parser: Parser, words: Sequence[str]) -> int:
    """Make the runs that are lacking, then the tables; exit code 1 when a run has failed."""
    _declare_ablate(parser)
    given = parser.parse(words)
    (method, *others) = names("--method", given.method)
    if others:
        raise UsageError(f"--method names {given.method}; ablate studies one method at a time.")
    if given.only and given.vary:
        raise UsageError("--only chooses among declared switches, --vary replaces them; keep one.")
    only = names("--only", given.only) if given.only else []
    metrics = names("--metric", given.metric) if given.metric else []
    grid = grid_request(given, [method])

    from mil_bench.ablation.ablate import plan_ablation
    from mil_bench.ablation.vary import parse_axes
    from mil_bench.runs.task import DataRequest

    axes = parse_axes(given.vary)
    machine, prepare = machine_request(given), cache(DataRequest.prepare)
    ablation = plan_ablation(grid, axes, only, metrics, machine, prepare)
    title = f"ablation of {method} on {given.dataset}"
    code = carry_out(given, title, ablation.tasks, machine, prepare)
    if not given.dry_run:
        from rich.console import Console

        ablation.report(machine.runs, given.out, Console())
    return code


def _declare_ablate(parser: Parser) -> None:
    parser.usage = f"{parser.prog} --method NAME --dataset NAME [--vary KEY=VALUES ...] [options]"
    parser.add_argument("--method", "-m", metavar="NAME", required=True, help="One method.")
    add_shared(parser, "dataset", required=True)
    parser.add_argument(
        "--vary",
        metavar="KEY=VALUES",
        action="append",
        default=[],
        help="Instead of switches, every combination of values, such as lr=1e-4,3e-4; any key of "
        "--set, or encoder; repeatable.",
    )
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="Variants beside the full method, such as no_con,released (default: all).",
    )
    parser.add_argument(
        "--metric",
        metavar="NAMES",
        help="Scores to show (default: balanced accuracy and AUC of the leaf and the top level).",
    )
    add_shared(parser, "runs")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("ablations"), help="Folder of the tables."
    )
    declare_existing(parser)
    add_shared(parser, "plugin")
    declare_experiment(parser)
    declare_machine(parser)
