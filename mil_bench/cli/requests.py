"""From the words about data to what a process loads."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mil_bench.dataset import DatasetOptions
    from mil_bench.runs.task import DataRequest

SHARED = (
    *("data_root", "features", "encoder", "tree", "drop_leaky_patients", "allow_missing"),
    *("slides", "weights"),
)


def dataset_options(given: Namespace, **changes: Any) -> DatasetOptions:
    """The values of the shared options about data that a command declares; ``changes`` win."""
    from mil_bench.dataset import DatasetOptions

    said = {name: getattr(given, name) for name in SHARED if name in given}
    cache = getattr(given, "cache_dir", None)  # --cache is where features are kept between epochs
    return DatasetOptions(cache=cache, **{**said, **changes})


def data_request(given: Namespace) -> DataRequest:
    """:func:`dataset_options`, ``--split``, ``--allow-leaks`` and ``--plugin``."""
    from mil_bench.runs.task import DataRequest

    return DataRequest(
        given.dataset, dataset_options(given), given.split, given.allow_leaks, tuple(given.plugin)
    )
