"""Names given on the command line, checked before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.datasets import DATASETS
from mil_bench.errors import UnknownNameError, UsageError
from mil_bench.methods import METHODS
from mil_bench.plugins import load_plugins


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
