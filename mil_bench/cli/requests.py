"""From words to requests: which data, which runs, and how they execute."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, numbers, settings

if TYPE_CHECKING:
    from mil_bench.contract.dataset import DatasetOptions
    from mil_bench.runs.machine import Existing, MachineRequest
    from mil_bench.runs.plan import GridRequest
    from mil_bench.runs.task import DataRequest

Folds = Literal["all"] | list[int]
OF_DATASETS = (
    *("data_root", "features", "encoder", "tree", "drop_leaky_patients", "allow_missing"),
    *("slides", "weights"),
)
UNLIMITED = 256  # jobs where Ray or Slurm queue what does not fit


def declare_grid(parser: Parser) -> None:
    """Declare which runs are executed, of which methods and data."""
    add(parser, "--overwrite", "--dry-run", "--plugin")
    add(parser, "--retry-failed", hidden=True)  # for one version: `--existing retry-failed`
    declare_experiment(parser)


def declare_experiment(parser: Parser) -> None:
    """Declare split, folds, seeds and settings, then the options about data."""
    group = parser.add_argument_group("experiment")
    add(group, "--split", "--fold", "--seed", "--set", "--head", "--online", "--init")
    add(group, "--allow-leaks")
    data = parser.add_argument_group("data")
    add(data, "--data-root", "--features", "--encoder", "--tree", "--allow-missing")
    add(data, "--drop-leaky-patients", "--cache-dir", "--slides", "--weights")


def declare_machine(parser: Parser, *, with_precision: bool = True) -> None:
    """Declare where runs execute, how many at a time and on which device.

    Planned runs have a precision already.
    """
    group = parser.add_argument_group("machine")
    add(group, "--executor", "--jobs", "--threads", "--memory", "--device")
    if with_precision:
        add(group, "--precision")
    add(group, "--placement", "--slurm")


def grid_request(args: Namespace, methods: Sequence[str]) -> GridRequest:
    """Return the grid of ``methods`` that ``args`` describe, after checking all names.

    Raises ``UsageError`` for words that are not numbers or pairs, before anything heavy is
    imported.
    """
    folds: Folds = "all" if args.fold == "all" else numbers("--fold", args.fold)
    seeds = numbers("--seed", args.seed)
    pairs = settings(args.set)
    # Words are checked before torch is imported, which takes seconds.
    check_names(methods, args.dataset, args.plugin)
    from mil_bench.contract.spec import parse_online
    from mil_bench.runs.plan import GridRequest

    online = parse_online(args.online) if args.online else None
    return GridRequest(
        data_request(args), methods, folds, seeds, pairs, args.precision, online, args.init
    )


def data_request(args: Namespace) -> DataRequest:
    """Return :func:`dataset_options`, ``--split``, ``--allow-leaks`` and ``--plugin``."""
    from mil_bench.runs.task import DataRequest

    return DataRequest(
        args.dataset, dataset_options(args), args.split, args.allow_leaks, tuple(args.plugin)
    )


def dataset_options(args: Namespace, **changes: Any) -> DatasetOptions:
    """Return the values of the options about data that a command declares; ``changes`` win."""
    from mil_bench.contract.dataset import DatasetOptions

    values = {name: getattr(args, name) for name in OF_DATASETS if name in args}
    # No --cache-dir: the default folder.
    return DatasetOptions(cache=getattr(args, "cache_dir", None), **{**values, **changes})


def machine_request(args: Namespace) -> MachineRequest:
    """Return the values of :func:`declare_machine`, ``--runs`` and ``--overwrite``."""
    from mil_bench.runs.machine import MachineRequest

    return MachineRequest(
        runs=args.runs,
        existing=existing(args),
        executor=args.executor,
        # Schedulers queue by themselves.
        jobs=args.jobs or (1 if args.executor == "local" else UNLIMITED),
        threads=args.threads,
        device=args.device,
        cache=args.placement,
        memory=args.memory,
        slurm=tuple(settings(args.slurm, "--slurm").items()),
    )


def existing(args: Namespace) -> Existing:
    """Return what happens to runs that exist: ``skip`` without an option."""
    if getattr(args, "overwrite", False):
        return "overwrite"
    return "retry-failed" if getattr(args, "retry_failed", False) else "skip"


def with_plugins(args: Namespace) -> Namespace:
    """Return ``args`` after loading plug-ins and checking that the dataset exists."""
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    check_dataset(args.dataset)
    return args


def check_names(methods: Sequence[str], dataset: str, plugins: Sequence[Path]) -> None:
    """Raise ``UnknownNameError`` for an unknown method or dataset, with the nearest names."""
    from mil_bench.base.registry import load_plugins

    load_plugins(plugins)
    check_methods(methods)
    check_dataset(dataset)


def check_methods(methods: Sequence[str]) -> None:
    """Raise ``UnknownNameError`` for a method that is not registered."""
    from mil_bench.methods import METHODS

    for method in methods:
        if method not in METHODS:
            raise UnknownNameError(
                "method", method, METHODS.names(), "`mil-bench list methods` shows all."
            )


def dataset_name(dataset: str) -> str:
    """Return the name of a registered dataset, or the one that a ``.toml`` file gives itself."""
    check_dataset(dataset)
    if not dataset.endswith(".toml"):
        return dataset
    from mil_bench.datasets.own import OwnData

    return OwnData(Path(dataset)).config.name


def check_dataset(dataset: str) -> None:
    """Raise unless ``dataset`` is registered or an existing ``.toml`` file."""
    from mil_bench.datasets import DATASETS

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
