"""From the words of a command to a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mil_bench.contracts.datasets import loaded, one_sentence
from mil_bench.dataset import Dataset, DatasetAdapter, DatasetOptions
from mil_bench.datasets import DATASETS

DATA_ROOT = "MIL_BENCH_DATA"


def load_dataset(name_or_toml: str, options: DatasetOptions | None = None) -> Dataset:
    """Load a registered dataset, or the own data that a ``.toml`` file describes.

    Without ``options.data_root`` the environment variable ``MIL_BENCH_DATA`` is used. Raises
    ``UnknownNameError``, ``ConfigError``, ``DataError`` or ``TaxonomyError``. The name of an upper
    level as the tree labels the slides with the classes of that level.
    """
    options = with_data_root(options or DatasetOptions())
    adapter = adapter_of(name_or_toml)
    dataset = _load(lambda o: loaded(adapter, o), options)
    return replace(dataset, slides=options.slides, weights=options.weights)


def load_labels(name_or_toml: str, options: DatasetOptions) -> Dataset:
    """As :func:`load_dataset` but without features where labels can be read alone."""
    from mil_bench.bags.labels.cohort import NO_FEATURES, LabelledAdapter, assemble

    adapter = adapter_of(name_or_toml)
    if isinstance(adapter, LabelledAdapter):
        with one_sentence(adapter):
            return _load(
                lambda o: assemble(adapter.cohort(o), NO_FEATURES), with_data_root(options)
            )
    return _load(lambda o: loaded(adapter, o), options)


def adapter_of(name_or_toml: str) -> DatasetAdapter:
    """The adapter behind a name or a ``.toml`` file."""
    if name_or_toml.endswith(".toml"):
        from mil_bench.datasets.own import OwnData

        return OwnData(Path(name_or_toml))
    return DATASETS.get(name_or_toml)()


def _load(load: Callable[[DatasetOptions], Dataset], options: DatasetOptions) -> Dataset:
    from mil_bench.bags.labels.level import at_level, is_level

    if options.tree is None or not is_level(options.tree):
        return load(options)
    return at_level(load(replace(options, tree=None)), options.tree)


def with_data_root(options: DatasetOptions) -> DatasetOptions:
    """Fill in the data root from ``MIL_BENCH_DATA`` when it is not given."""
    root = os.environ.get(DATA_ROOT)
    if options.data_root is None and root:
        return replace(options, data_root=Path(root))
    return options
