"""A dataset without its test slides: the only one that a trial receives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.contract.dataset import Dataset
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Split


def without_test(dataset: Dataset, split: Split, folds: Sequence[int]) -> tuple[Dataset, Split]:
    """Return ``dataset`` and ``split`` with only training and validation slides of ``folds``.

    Slides outside them no longer have a label or rows of features, and every test set is empty:
    looking one up is a ``KeyError``. Digests stay those of the whole, because the runs of a search
    are named by the experiment that they belong to.
    """
    visible = {slide for fold in folds for slide in (*split[fold].train, *split[fold].val)}
    table = dataset.manifest.table
    # The arrays stay mapped: hiding rows copies nothing.
    rows = {slide: span for slide, span in dataset.store.rows.items() if slide in visible}
    view = replace(
        dataset,
        manifest=Manifest(table[table["slide_id"].isin(visible)].reset_index(drop=True)),
        store=replace(dataset.store, rows=rows),
        official=None,  # both may name test slides
        instance_labels=None,
    )
    chosen = set(folds)
    empty = [
        # Other folds are emptied too: their training slides include this search's test slides.
        replace(fold, test=()) if k in chosen else replace(fold, train=(), val=(), test=())
        for k, fold in enumerate(split.folds)
    ]
    return view, replace(split, folds=tuple(empty))


def trains_on_test(split: Split, folds: Sequence[int]) -> bool:
    """Return whether one of ``folds`` trains or validates on a test slide of another.

    Settings chosen by all of these folds together would then have seen every test slide.
    """
    tested = {slide for fold in folds for slide in split[fold].test}
    return any(not tested.isdisjoint((*split[k].train, *split[k].val)) for k in folds)
