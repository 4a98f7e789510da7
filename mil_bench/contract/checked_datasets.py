"""Checks of a dataset's adapter; every error names file and line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mil_bench.base.error_location import defined_at, place_of
from mil_bench.base.errors import DataError, MilBenchError, UsageError
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetCard, DatasetOptions


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
    if not isinstance(dataset, Dataset):
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
    except (MilBenchError, OSError):
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())} ({place_of(error)})"
        raise DataError(
            f"dataset {adapter.card.name!r} cannot be read: {what}; correct its adapter or its "
            "files (--debug shows the traceback)."
        ) from error
