"""``mil-bench tune``: search settings by validation, then run the default and the best."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mil_bench.cli.experiment import declare_experiment, grid_request
from mil_bench.cli.machine import declare_machine, machine_request
from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import names, numbers
from mil_bench.cli.parser import Parser, at_least


def tune(parser: Parser, words: Sequence[str]) -> int:
    """Check the words, then search and refit; exit code 1 when a run has failed."""
    _declare(parser)
    given = parser.parse(words)
    only = names("--only", given.only) if given.only else []
    fix = names("--fix", given.fix) if given.fix else []
    search_seeds = numbers("--search-seed", given.search_seed)
    from mil_bench.tuning.grammar import searches

    asked = searches(given.search)
    grid = grid_request(given, _methods(given.method, given.plugin))
    given.existing = "retry-failed" if given.retry_failed else "skip"

    from rich.console import Console

    from mil_bench.tuning.plan import TuneRequest
    from mil_bench.tuning.search import Rules
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

    from mil_bench.methods import METHODS
    from mil_bench.plugins import load_plugins

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
