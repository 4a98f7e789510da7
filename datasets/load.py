"""From the words of a command to a dataset."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mil_bench.base.errors import UnknownNameError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetOptions, loaded, one_sentence
from mil_bench.contract.manifest import STRATUM, Manifest
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
    """Load a dataset as :func:`load_dataset` does, without features where that is possible."""
    # Imported here: names of datasets are listed without the readers of features.
    from mil_bench.bags.labels.cohort import NO_FEATURES, LabelledAdapter, assemble

    adapter = adapter_of(name_or_toml)
    # Other adapters give labels only together with features.
    if isinstance(adapter, LabelledAdapter):
        with one_sentence(adapter):
            return _load(
                lambda o: assemble(adapter.cohort(o), NO_FEATURES), with_data_root(options)
            )
    return _load(lambda o: loaded(adapter, o), options)


def adapter_of(name_or_toml: str) -> DatasetAdapter:
    """Return the adapter of a name or a ``.toml`` file."""
    if name_or_toml.endswith(".toml"):
        from mil_bench.datasets.own import OwnData

        return OwnData(Path(name_or_toml))
    return DATASETS.get(name_or_toml)()


def _load(load: Callable[[DatasetOptions], Dataset], options: DatasetOptions) -> Dataset:
    if options.tree is None or not is_level(options.tree):
        return load(options)
    return at_level(load(replace(options, tree=None)), options.tree)


def with_data_root(options: DatasetOptions) -> DatasetOptions:
    """Fill in the data root from ``MIL_BENCH_DATA`` when it is not given."""
    root = os.environ.get(DATA_ROOT)
    if options.data_root is None and root:
        return replace(options, data_root=Path(root))
    return options


# A dataset whose labels are the classes of an upper level: training that never saw the leaves.

_LEVEL = re.compile(r"coarse|level\d+")


def is_level(tree: str | None) -> bool:
    """Return whether the value of ``--tree`` is the name of an upper level."""
    return tree is not None and _LEVEL.fullmatch(tree) is not None


def at_level(dataset: Dataset, level: str) -> Dataset:
    """Label the slides of ``dataset`` with their classes at ``level`` of its tree.

    Splits balance the leaves as before, so that folds are those of the dataset itself. Raises
    ``UnknownNameError`` for a level that the tree does not have.
    """
    tree = dataset.taxonomy
    if level not in tree.levels[:-1]:
        raise UnknownNameError("upper level", level, tree.levels[:-1], of=f"tree {tree.name!r}")
    index = tree.ancestor_index(level)
    upper = {leaf: tree.classes[level][index[i]] for i, leaf in enumerate(tree.leaves)}
    table = dataset.manifest.table
    # The stratum keeps the leaf: folds are those of the dataset.
    coarse = table.assign(**{"label": table["label"].map(upper), STRATUM: table["label"]})
    flat = Taxonomy.flat(
        f"{tree.name}-{level}", tree.classes[level], ordered=tree.ordered, titles=tree.titles
    )
    patches = dataset.instance_labels
    if patches is not None:
        # Names outside the tree (background) stay.
        patches = {s: tuple(upper.get(c, c) for c in names) for s, names in patches.items()}
    return replace(dataset, manifest=Manifest(coarse), taxonomy=flat, instance_labels=patches)
