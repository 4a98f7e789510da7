"""From the words about data to what a process loads."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.base.plugins import load_plugins
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser, at_least, numbers, settings
from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS

if TYPE_CHECKING:
    from mil_bench.contract.dataset import DatasetOptions
    from mil_bench.runs.machine import MachineRequest
    from mil_bench.runs.plan import GridRequest
    from mil_bench.runs.task import DataRequest


SHARED = (
    *("data_root", "features", "encoder", "tree", "drop_leaky_patients", "allow_missing"),
    *("slides", "weights"),
)


def dataset_options(given: Namespace, **changes: Any) -> DatasetOptions:
    """The values of the shared options about data that a command declares; ``changes`` win."""
    from mil_bench.contract.dataset import DatasetOptions

    said = {name: getattr(given, name) for name in SHARED if name in given}
    cache = getattr(given, "cache_dir", None)  # --cache is where features are kept between epochs
    return DatasetOptions(cache=cache, **{**said, **changes})


def data_request(given: Namespace) -> DataRequest:
    """:func:`dataset_options`, ``--split``, ``--allow-leaks`` and ``--plugin``."""
    from mil_bench.runs.task import DataRequest

    return DataRequest(
        given.dataset, dataset_options(given), given.split, given.allow_leaks, tuple(given.plugin)
    )


# What is run: the options that commands share which make runs of methods on one dataset.

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
    check_names(methods, given.dataset, given.plugin)
    from mil_bench.contract.spec import parse_online
    from mil_bench.runs.plan import GridRequest

    online = parse_online(given.online) if given.online else None
    return GridRequest(data_request(given), methods, folds, seeds, pairs, given.precision, online)


# How runs are made: the options that commands share which make runs.

EVERYWHERE = 256  # jobs where others queue what they have no room for


def declare_machine(parser: Parser, *, with_precision: bool = True) -> None:
    """Where, how many at a time, and on what; the precision of planned runs is decided already."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--executor",
        choices=("local", "ray", "slurm"),
        default="local",
        help="Who makes the runs: processes of this machine, a Ray cluster, or Slurm.",
    )
    group.add_argument(
        "--jobs",
        metavar="N",
        type=at_least(1),
        help="Runs at the same time (default: 1; with ray or slurm as many as there is room for).",
    )
    group.add_argument(
        "--threads",
        metavar="N",
        type=at_least(1),
        default=1,
        help="CPU threads of each run; more help large bags, and change the last bits.",
    )
    group.add_argument(
        "--memory",
        metavar="GB",
        type=at_least(1),
        help="Memory that Ray or Slurm keeps for each run.",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
    if with_precision:
        group.add_argument(
            "--precision", choices=("auto", "32", "bf16", "16"), default="auto", help="Arithmetic."
        )
    group.add_argument(
        "--cache",
        choices=("auto", "ram", "gpu", "none"),
        default="auto",
        help="Where features are kept between epochs; changes no result.",
    )
    group.add_argument(
        "--slurm",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="An option of sbatch, such as partition=gpu or time=240; repeatable.",
    )


def machine_request(given: Namespace) -> MachineRequest:
    """The values of :func:`declare_machine`, ``--runs`` and ``--existing``, where declared."""
    from mil_bench.runs.machine import MachineRequest

    return MachineRequest(
        runs=given.runs,
        existing=getattr(given, "existing", "skip"),
        executor=given.executor,
        jobs=given.jobs or (1 if given.executor == "local" else EVERYWHERE),
        threads=given.threads,
        device=given.device,
        cache=given.cache,
        memory=given.memory,
        slurm=tuple(settings(given.slurm, "--slurm").items()),
    )


# Names given on the command line, checked before anything heavy is imported.


def check_names(methods: Sequence[str], dataset: str, plugins: Sequence[Path]) -> None:
    """Raise for an unknown method or dataset, with the nearest names."""
    load_plugins(plugins)
    check_methods(methods)
    check_dataset(dataset)


def check_methods(methods: Sequence[str]) -> None:
    """Raise for a method that is not registered."""
    for method in methods:
        if method not in METHODS:
            raise UnknownNameError(
                "method", method, METHODS.names(), "`mil-bench list methods` shows all."
            )


def check_dataset(dataset: str) -> None:
    """Raise for a dataset that is neither registered nor an existing ``.toml`` file."""
    if dataset.endswith(".toml"):
        if not Path(dataset).is_file():
            raise UsageError(f"dataset file {dataset} does not exist; check the path.")
    elif dataset not in DATASETS:
        raise UnknownNameError(
            "dataset",
            dataset,
            DATASETS.names(),
            "`mil-bench list datasets` shows all; own data is a .toml file.",
        )
