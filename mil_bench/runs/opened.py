"""A dataset that a process has open on its device."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.placement import Home
from mil_bench.bags.splits.split import Split
from mil_bench.bags.standardize import Standardization
from mil_bench.dataset import Dataset
from mil_bench.spec import RunSpec
from mil_bench.training.precision import feature_type


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

        ``neighbours`` is what :attr:`~mil_bench.method.Method.neighbours` says.
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
