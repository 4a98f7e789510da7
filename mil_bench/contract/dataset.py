"""The contract of a dataset: its card, its adapter, the options of a user, and its checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mil_bench.base.error_location import defined_at, place_of
from mil_bench.base.errors import DataError, MilBenchError, UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.spec import DataKind

if TYPE_CHECKING:
    from mil_bench.contract.manifest import Manifest
    from mil_bench.contract.split import Split
    from mil_bench.contract.store import BagStore


@dataclass(frozen=True)
class DatasetCard:
    """Facts about a dataset, shown by ``mil-bench list datasets`` and on boards."""

    name: str
    title: str
    source: str  # where to get it, and the paper to cite
    licence: str
    files: str  # which files go under --data-root
    trees: Mapping[str, Taxonomy]
    default_tree: str
    default_split: str = "kfold-5"
    kind: DataKind = "real"
    # Recommended settings below --set: {"trainer": {...}, "methods": {"transmil": {"dim": 64,
    # "trainer": {"lr": 5e-4}}}}; settings of one method win over those of all
    overrides: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None  # the TOML file that describes own data

    def tree(self, name: str | None) -> Taxonomy:
        """Return a tree by name; the default for ``None``."""
        name = name or self.default_tree
        if name not in self.trees:
            raise UnknownNameError("tree", name, self.trees, of=f"dataset {self.name!r}")
        return self.trees[name]


@dataclass(frozen=True)
class DatasetOptions:
    """Options of the command line about data. ``None``: find it or use the default.

    ``slides`` and ``weights`` (of the encoder) are for features that are trained with the method.
    """

    data_root: Path | None = None
    features: Path | None = None
    encoder: str | None = None
    tree: str | None = None  # name of one of the dataset's trees, or a tree file
    drop_leaky_patients: bool = False
    allow_missing: bool = False
    cache: Path | None = None
    slides: Path | None = None
    weights: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset ready for splits and runs.

    ``findings`` are sentences about defects of the data (leaky patients, wrong rows, missing
    slides). ``official`` is the dataset's own split, if it has one. ``not_for_training`` holds
    slides that evaluation keeps and training leaves out (noisy labels). ``missing`` lists slides of
    the label file that have no features (only with ``allow_missing``), ``dropped`` those left out
    on request (leaky patients). ``instance_labels`` maps a slide to the class names of its patches,
    if known; names outside the tree are background. ``picture_shape``: the features of a patch are
    a grey picture of that many rows and columns, from 0 to 1. ``standardize``: the loader shifts
    and scales every feature by its mean and deviation over the training bags of the fold.
    ``slides`` and ``weights`` are those of :class:`DatasetOptions`.
    """

    card: DatasetCard
    kind: DataKind
    manifest: Manifest
    taxonomy: Taxonomy
    store: BagStore
    official: Split | None = None
    findings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    not_for_training: frozenset[str] = frozenset()
    instance_labels: Mapping[str, tuple[str, ...]] | None = None
    picture_shape: tuple[int, int] | None = None
    standardize: bool = False
    slides: Path | None = None
    weights: Path | None = None

    @property
    def name(self) -> str:
        """Name on boards."""
        return self.card.name

    @property
    def left_out(self) -> frozenset[str]:
        """Slides that split files may list although they are not in the manifest."""
        return frozenset((*self.missing, *self.dropped))


class DatasetAdapter(ABC):
    """Reader of the files that users really have; makes a :class:`Dataset` of them."""

    card: ClassVar[DatasetCard]

    @abstractmethod
    def load(self, options: DatasetOptions) -> Dataset:
        """Read labels, match features, report defects. Raises ``DataError``."""


# Checks of a dataset's adapter; every error names file and line.


def check_adapter(name: str, adapter: Any) -> None:
    """Raise ``UsageError`` unless ``adapter`` has a valid card and can be made and loaded."""
    if not (isinstance(adapter, type) and issubclass(adapter, DatasetAdapter)):
        raise UsageError(
            f"dataset {name!r} ({defined_at(adapter)}) is not derived from "
            "mil_bench.contract.dataset.DatasetAdapter; derive it."
        )
    faults = sorted(getattr(adapter, "__abstractmethods__", ()))
    card: object = getattr(adapter, "card", None)
    if not isinstance(card, DatasetCard):
        faults.append("card (a DatasetCard)")
    elif card.name != name:
        faults.append(f"the name {name!r} on its card (it has {card.name!r})")
    elif card.default_tree not in card.trees:
        faults.append(f"the tree {card.default_tree!r}, its default, among the trees of its card")
    if faults:
        raise UsageError(
            f"dataset {name!r} ({defined_at(adapter)}) lacks {', '.join(faults)}; add it "
            "(docs/add-a-dataset.md)."
        )


def loaded(adapter: DatasetAdapter, options: DatasetOptions) -> Dataset:
    """Load a dataset with ``adapter``. Raises ``DataError`` for any error in its code."""
    with one_sentence(adapter):
        dataset: object = adapter.load(options)
    if not isinstance(dataset, Dataset):  # a contributed adapter may return anything
        load: Any = type(adapter).load
        raise DataError(
            f"load ({defined_at(load)}) of dataset {adapter.card.name!r} returns "
            f"{type(dataset).__name__}; return a Dataset."
        )
    return dataset


@contextmanager
def one_sentence(adapter: DatasetAdapter) -> Iterator[None]:
    """Turn errors that do not help a user into a ``DataError`` with file and line."""
    try:
        yield
    except (MilBenchError, OSError):  # these say what to do already
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())} ({place_of(error)})"
        raise DataError(
            f"dataset {adapter.card.name!r} cannot be read: {what}; correct its adapter or its "
            "files (--debug shows the traceback)."
        ) from error
