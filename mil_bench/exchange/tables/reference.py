"""What a dataset says of slides that someone else has predicted: tree, labels, patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mil_bench.bags.labels.cohort import FolderAdapter, choose_tree
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.datasets.load import adapter_of, load_labels, with_data_root
from mil_bench.datasets.own import OwnData


@dataclass(frozen=True)
class Reference:
    """Tree, labels (slide to leaf) and patients (slide to patient); ``None`` where unknown.

    ``id_column`` is what the label table calls a slide, ``name`` what the data are called.
    """

    tree: Taxonomy | None = None
    labels: Mapping[str, str] | None = None
    groups: Mapping[str, str] | None = None
    id_column: str | None = None
    name: str = ""

    @classmethod
    def of(cls, dataset: Dataset, id_column: str | None = None) -> Reference:
        """Take all of it from a loaded dataset."""
        manifest = dataset.manifest
        return cls(
            dataset.taxonomy, manifest.labels(), manifest.clusters(), id_column, dataset.name
        )


def reference_of(dataset: str | None, tree: str | None, data_root: Path | None) -> Reference:
    """Return what is known of a dataset by its name, or of a tree file alone.

    Labels and patients of a built-in dataset need its label file; without a data root only its tree
    is known. Raises as :func:`~mil_bench.datasets.load.load_labels`.
    """
    if dataset is None:
        own = Taxonomy.load(Path(tree)) if tree is not None else None
        return Reference(own, name=own.name if own else "")
    adapter = adapter_of(dataset)
    options = with_data_root(DatasetOptions(data_root=data_root, tree=tree))
    if isinstance(adapter, FolderAdapter) and options.data_root is None:
        return Reference(choose_tree(adapter.card, tree), name=adapter.card.name)
    return Reference.of(load_labels(dataset, options), id_column_of(dataset))


def id_column_of(dataset: str) -> str | None:
    """Return what the label table of own data calls a slide; ``None`` for built-in datasets."""
    adapter = adapter_of(dataset)
    column = adapter.columns.slide_id if isinstance(adapter, OwnData) else None
    return column if isinstance(column, str) else None
