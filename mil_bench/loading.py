"""From the words of a command to a dataset."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mil_bench.dataset import Dataset, DatasetAdapter, DatasetOptions
from mil_bench.datasets import DATASETS

DATA_ROOT = "MIL_BENCH_DATA"


def load_dataset(name_or_toml: str, options: DatasetOptions | None = None) -> Dataset:
    """Load a registered dataset, or the own data that a ``.toml`` file describes.

    Without ``options.data_root`` the environment variable ``MIL_BENCH_DATA`` is used. Raises
    ``UnknownNameError``, ``ConfigError``, ``DataError`` or ``TaxonomyError``.
    """
    return adapter_of(name_or_toml).load(with_data_root(options or DatasetOptions()))


def load_labels(name_or_toml: str, options: DatasetOptions) -> Dataset:
    """As :func:`load_dataset` but without features where labels can be read alone."""
    from mil_bench.bags.labels.cohort import NO_FEATURES, LabelledAdapter, assemble

    adapter = adapter_of(name_or_toml)
    if isinstance(adapter, LabelledAdapter):
        return assemble(adapter.cohort(with_data_root(options)), NO_FEATURES)
    return adapter.load(options)


def adapter_of(name_or_toml: str) -> DatasetAdapter:
    """The adapter behind a name or a ``.toml`` file."""
    if name_or_toml.endswith(".toml"):
        from mil_bench.datasets.own import OwnData

        return OwnData(Path(name_or_toml))
    return DATASETS.get(name_or_toml)()


def with_data_root(options: DatasetOptions) -> DatasetOptions:
    """Fill in the data root from ``MIL_BENCH_DATA`` when it is not given."""
    root = os.environ.get(DATA_ROOT)
    if options.data_root is None and root:
        return replace(options, data_root=Path(root))
    return options
