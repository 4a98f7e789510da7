"""``mil-bench run``: a grid of methods, folds and seeds."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Literal

from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import names, numbers, settings
from mil_bench.cli.parser import Parser, at_least

Folds = Literal["all"] | list[int]


def run(parser: Parser, words: Sequence[str]) -> int:
    """Check the words, then make the grid; exit code 1 when a run has failed."""
    _declare(parser)
    given = parser.parse(words)
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
    from rich.console import Console

    from mil_bench.dataset import DatasetOptions
    from mil_bench.runs.grid import GridRequest, run_grid

    request = GridRequest(
        dataset=given.dataset,
        options=DatasetOptions(
            given.data_root,
            given.features,
            given.encoder,
            given.tree,
            given.drop_leaky_patients,
            given.allow_missing,
            given.cache_dir,
        ),
        methods=methods,
        split=given.split,
        folds=folds,
        seeds=seeds,
        settings=pairs,
        runs=given.runs,
        existing=given.existing,
        jobs=given.jobs,
        threads=given.threads,
        device=given.device,
        precision=given.precision,
        cache=given.cache,
        allow_leaks=given.allow_leaks,
        plugins=tuple(given.plugin),
    )
    return 1 if run_grid(request, Console()).failed else 0


def _declare(parser: Parser) -> None:
    parser.usage = f"{parser.prog} --method NAMES --dataset NAME [options]"
    parser.add_argument(
        "--method", "-m", metavar="NAMES", required=True, help="One or more, comma separated."
    )
    add_shared(parser, "dataset", required=True)
    add_shared(parser, "runs")
    parser.add_argument(
        "--existing",
        choices=("skip", "retry-failed", "overwrite"),
        default="skip",
        help="What to do with runs that exist.",
    )
    add_shared(parser, "plugin")
    _declare_experiment(parser)
    data = parser.add_argument_group("data")
    add_shared(data, "data_root", "features", "encoder", "tree", "allow_missing")
    add_shared(data, "drop_leaky_patients", "cache_dir")
    _declare_machine(parser)


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


def _declare_machine(parser: Parser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--jobs", metavar="N", type=at_least(1), default=1, help="Runs at the same time."
    )
    group.add_argument(
        "--threads",
        metavar="N",
        type=at_least(1),
        default=1,
        help="CPU threads of each run; more help large bags, and change the last bits.",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
    group.add_argument(
        "--precision", choices=("auto", "32", "bf16", "16"), default="auto", help="Arithmetic."
    )
    group.add_argument(
        "--cache",
        choices=("auto", "ram", "gpu", "none"),
        default="auto",
        help="Where features are kept between epochs; changes no result.",
    )
