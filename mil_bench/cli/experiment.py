"""What is run: the options that commands share which make runs of methods on one dataset."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import numbers, settings
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import data_request

if TYPE_CHECKING:
    from mil_bench.runs.plan import GridRequest

Folds = Literal["all"] | list[int]


def declare_existing(parser: Parser) -> None:
    """Which runs are made at all."""
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


def declare_experiment(parser: Parser) -> None:
    """Split, folds, seeds and settings, then the options about data."""
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
        "--head",
        metavar="NAME",
        dest="set",
        type="head={}".format,
        action="append",
        help="Of flat methods: flat, multi, conditional, marginal or soft-labels (docs/heads.md); "
        "short for --set head=NAME.",
    )
    group.add_argument(
        "--online",
        metavar="WHAT",
        help="Train features with the method: adapter, or blocks=N,tiles=K for the last N blocks "
        "of the encoder on K tiles of every slide (docs/online.md).",
    )
    group.add_argument(
        "--allow-leaks",
        action="store_true",
        help="Run a split whose sets share patients; results are marked.",
    )
    data = parser.add_argument_group("data")
    add_shared(data, "data_root", "features", "encoder", "tree", "allow_missing")
    add_shared(data, "drop_leaky_patients", "cache_dir", "slides", "weights")


def grid_request(given: Namespace, methods: Sequence[str]) -> GridRequest:
    """The grid of ``methods`` that the words stand for; their names are checked first.

    Raises ``UsageError`` for words that are no numbers or pairs, before anything heavy is imported.
    """
    folds: Folds = "all" if given.fold == "all" else numbers("--fold", given.fold)
    seeds = numbers("--seed", given.seed)
    pairs = settings(given.set)
    from mil_bench.cli.plugins import check_names

    check_names(methods, given.dataset, given.plugin)
    from mil_bench.online.config import parse_online
    from mil_bench.runs.plan import GridRequest

    online = parse_online(given.online) if given.online else None
    return GridRequest(data_request(given), methods, folds, seeds, pairs, given.precision, online)
