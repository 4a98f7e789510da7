"""What is asked of a dataset's adapter, said in one sentence that names file and line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mil_bench.base.error_location import defined_at, place_of
from mil_bench.base.errors import DataError, MilBenchError, UsageError
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetCard, DatasetOptions


def check_adapter(name: str, adapter: Any) -> None:
    """Raise ``UsageError`` unless ``adapter`` can be asked for its card and its data."""
    if not (isinstance(adapter, type) and issubclass(adapter, DatasetAdapter)):
        raise UsageError(
            f"dataset {name!r} ({defined_at(adapter)}) is not derived from "
            "mil_bench.contract.dataset.DatasetAdapter; derive it."
        )
    lacking = sorted(getattr(adapter, "__abstractmethods__", ()))
    card: object = getattr(adapter, "card", None)
    if not isinstance(card, DatasetCard):
        lacking.append("card (a DatasetCard)")
    elif card.name != name:
        lacking.append(f"the name {name!r} on its card (it has {card.name!r})")
    elif card.default_tree not in card.trees:
        lacking.append(f"the tree {card.default_tree!r}, its default, among the trees of its card")
    if lacking:
        raise UsageError(
            f"dataset {name!r} ({defined_at(adapter)}) lacks {', '.join(lacking)}; add it "
            "(docs/add-a-dataset.md)."
        )


def loaded(adapter: DatasetAdapter, options: DatasetOptions) -> Dataset:
    """What ``adapter`` makes of the files. Raises ``DataError`` for whatever goes wrong in it."""
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
    """Whatever an adapter raises that tells a user nothing is a ``DataError``."""
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
