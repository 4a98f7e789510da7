"""``mil-bench tune`` and ``mil-bench ablate``: which settings and components of a method matter."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mil_bench.base.errors import UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, names, numbers
from mil_bench.cli.requests import (
    declare_experiment,
    declare_grid,
    declare_machine,
    grid_request,
    machine_request,
)
from mil_bench.cli.run import execute


def tune(parser: Parser, words: Sequence[str]) -> int:
    """Search settings by validation, then run the default and the best.

    The exit code is 1 when a run has failed.
    """
    _declare_tune(parser)
    args = parser.parse(words)
    only = names("--only", args.only) if args.only else []
    fix = names("--fix", args.fix) if args.fix else []
    search_seeds = numbers("--search-seed", args.search_seed)
    from mil_bench.tuning.search_syntax import search_options

    ranges = search_options(args.search)
    grid = grid_request(args, _methods(args.method, args.plugin))

    from rich.console import Console

    from mil_bench.tuning.search import SearchRules, TuneRequest
    from mil_bench.tuning.tune import run_tuning

    request = TuneRequest(
        grid=grid,
        trials=args.trials,
        rules=SearchRules(
            args.objective, args.sampler, args.pruner, args.max_memory_mb, args.max_parameters
        ),
        options=tuple(ranges),
        only=tuple(only),
        fix=tuple(fix),
        search_seeds=tuple(search_seeds),
        shared=args.shared,
        storage=args.storage,
        refit=args.refit,
    )
    return 1 if run_tuning(request, machine_request(args), Console()).failed else 0


def _methods(text: str, plugins: Sequence[Path]) -> list[str]:
    """Return the methods named; ``all`` is every registered one."""
    if text != "all":
        return names("--method", text)
    from mil_bench.base.registry import load_plugins
    from mil_bench.methods import METHODS

    load_plugins(plugins)
    return METHODS.names()


def _declare_tune(parser: Parser) -> None:
    parser.usage = f"{parser.prog} --method NAMES|all --dataset NAME [--trials N] [options]"
    add(parser, "--method", "--dataset", required=True)
    add(parser, "--trials")
    group = parser.add_argument_group("search")
    add(group, "--objective", "--search", "--only", "--fix", "--sampler", "--pruner")
    add(group, "--search-seed", "--shared", "--max-memory-mb", "--max-parameters", "--storage")
    add(parser, "--runs", "--plugin", "--retry-failed")
    add(parser, "--refit", default=True)
    declare_experiment(parser)
    declare_machine(parser)


def ablate(parser: Parser, words: Sequence[str]) -> int:
    """Execute the missing runs of an ablation, then write its tables.

    The exit code is 1 when a run has failed.
    """
    _declare_ablate(parser)
    args = parser.parse(words)
    (method, *others) = names("--method", args.method)
    if others:
        raise UsageError(f"--method has {args.method!r}; pass one method.")
    if args.variants and args.vary:
        raise UsageError("--variants and --vary cannot be combined; remove one of them.")
    variants = names("--variants", args.variants) if args.variants else []
    metrics = names("--metric", args.metric) if args.metric else []
    grid = grid_request(args, [method])

    from mil_bench.ablation.ablate import write_ablation
    from mil_bench.ablation.variants import plan_components
    from mil_bench.ablation.vary import parse_axes, plan_settings
    from mil_bench.runs.task import DataRequest

    axes = parse_axes(args.vary)
    machine, prepare = machine_request(args), cache(DataRequest.prepare)
    if axes:
        ablation = plan_settings(grid, axes, metrics, machine, prepare)
    else:
        ablation = plan_components(grid, variants, metrics, machine, prepare)
    title = f"ablation of {method} on {args.dataset}"
    code = execute(args, title, ablation.tasks, machine, prepare)
    if not args.dry_run:
        from rich.console import Console

        write_ablation(
            ablation, machine.runs, args.out, Console(), verbose=args.verbose or bool(metrics)
        )
    return code


def _declare_ablate(parser: Parser) -> None:
    parser.usage = f"{parser.prog} --method NAME --dataset NAME [--vary KEY=VALUES ...] [options]"
    add(parser, "--method", "--dataset", required=True)
    add(parser, "--vary", "--variants", "--metric", "--runs")
    add(parser, "--out", default=Path("ablations"))
    add(parser, "--verbose")
    declare_grid(parser)
    declare_machine(parser)
