"""A dataset that a process has open on its device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from mil_bench.bags.conversion import Standardization
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.placement import CacheChoice, Home, choose_home
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.spec import Precision, RunSpec
from mil_bench.contract.split import Split
from mil_bench.nn.precision import feature_type


@dataclass
class Opened:
    """The dataset, its split, and the bags kept for the next run."""

    dataset: Dataset
    split: Split
    device: torch.device
    _kept: dict[object, DeviceBags] = field(default_factory=dict)

    def bags(
        self,
        spec: RunSpec,
        home: Home,
        standardization: Standardization | None,
        neighbours: int = 0,
    ) -> DeviceBags:
        """The bags as ``spec`` wants them; kept for the next run that wants the same.

        ``neighbours`` is what :attr:`~mil_bench.contract.method.Method.neighbours` says.
        """
        dtype = feature_type(spec.precision)
        wanted = (dtype, spec.fold if standardization is not None else None, neighbours)
        if wanted not in self._kept:
            if home != "none":
                self._kept.clear()  # room for the next
            self._kept[wanted] = DeviceBags(
                self.dataset.store,
                self.device,
                dtype=dtype,
                standardization=standardization,
                home=home,
                neighbours=neighbours,
            )
        return self._kept[wanted]


# Where the processes of one machine keep features.


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
