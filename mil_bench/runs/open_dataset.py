"""A dataset that a process has open on its device, and where its features are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from mil_bench.bags.conversion import Standardization
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.placement import Placement, PlacementChoice, choose_placement
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.spec import Precision, RunSpec
from mil_bench.contract.split import Split
from mil_bench.nn.precision import feature_type


@dataclass
class OpenDataset:
    """The dataset, its split, and the bags prepared for the next run."""

    dataset: Dataset
    split: Split
    device: torch.device
    _prepared: dict[object, DeviceBags] = field(default_factory=dict)

    def bags(
        self,
        spec: RunSpec,
        placement: Placement,
        standardization: Standardization | None,
        neighbours: int = 0,
    ) -> DeviceBags:
        """Return the bags as ``spec`` requires them, kept for the next run that requires the same.

        ``neighbours`` is :attr:`~mil_bench.contract.method.Method.neighbours`.
        """
        dtype = feature_type(spec.precision)
        # Standardised features differ between folds, because the fold's training slides fit them.
        variant = (dtype, spec.fold if standardization is not None else None, neighbours)
        if variant not in self._prepared:
            if placement != "none":
                self._prepared.clear()  # free the copy before the next one is made
            self._prepared[variant] = DeviceBags(
                self.dataset.store,
                self.device,
                dtype=dtype,
                standardization=standardization,
                placement=placement,
                neighbours=neighbours,
            )
        return self._prepared[variant]


class FeaturePlacement:
    """Where the processes of one machine keep features; ``devices`` has one for each process.

    Decided once for each dataset and type of features, so that all runs of a grid are alike.
    """

    def __init__(self, choice: PlacementChoice, devices: Sequence[torch.device]) -> None:
        self._choice, self._devices = choice, devices
        self._decisions: dict[tuple[str, torch.dtype], Placement] = {}

    def of(self, dataset: Dataset, precision: Precision) -> Placement:
        """Return where features of ``dataset`` are kept for runs in ``precision``.

        Raises as :func:`~mil_bench.bags.placement.choose_placement`.
        """
        dtype = feature_type(precision)
        features = (dataset.store.digest, dtype)
        if features not in self._decisions:
            self._decisions[features] = choose_placement(
                self._choice, dataset.store, dtype, self._devices, standardize=dataset.standardize
            )
        return self._decisions[features]
