"""From the words about data to what a process loads."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mil_bench.runs.task import DataRequest


def data_request(given: Namespace) -> DataRequest:
    """The values of the shared data options, ``--split``, ``--allow-leaks`` and ``--plugin``."""
    from mil_bench.dataset import DatasetOptions
    from mil_bench.runs.task import DataRequest

    options = DatasetOptions(
        given.data_root,
        given.features,
        given.encoder,
        given.tree,
        given.drop_leaky_patients,
        given.allow_missing,
        given.cache_dir,
    )
    return DataRequest(given.dataset, options, given.split, given.allow_leaks, tuple(given.plugin))
