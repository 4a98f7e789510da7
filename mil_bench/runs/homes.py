"""Where the processes of one machine keep features."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mil_bench.bags.placement import CacheChoice, Home, choose_home
from mil_bench.dataset import Dataset
from mil_bench.spec import Precision
from mil_bench.training.precision import feature_type


class Homes:
    """One decision for each dataset and type of features; ``places`` has a device per process."""

    def __init__(self, choice: CacheChoice, places: Sequence[torch.device]) -> None:
        self._choice, self._places = choice, places
        self._decided: dict[tuple[str, torch.dtype], Home] = {}

    def of(self, dataset: Dataset, precision: Precision) -> Home:
        """Where features of ``dataset`` are kept for runs in ``precision``.

        Raises as :func:`~mil_bench.bags.placement.choose_home`.
        """
        dtype = feature_type(precision)
        wanted = (dataset.store.digest, dtype)
        if wanted not in self._decided:
            self._decided[wanted] = choose_home(
                self._choice, dataset.store, dtype, self._places, standardize=dataset.standardize
            )
        return self._decided[wanted]
