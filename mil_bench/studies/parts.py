"""What a study asks of one dataset under one encoder and split: the unit that is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from mil_bench.dataset import DatasetOptions
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import DataRequest
from mil_bench.studies.file import StudyDataset, StudyFile
from mil_bench.studies.rules import Cell


@dataclass(frozen=True)
class Surroundings:
    """What a study file leaves to the machine it is run on.

    Relative paths of the study start at ``folder``; ``data_root`` serves datasets that name none;
    ``cache`` is the folder of packed features.
    """

    folder: Path
    machine: MachineRequest
    precision: str = "auto"  # where the study says none
    data_root: Path | None = None
    cache: Path | None = None

    def at(self, text: str) -> Path:
        """A path that the study file writes."""
        return self.folder / Path(text).expanduser()

    def path_or_name(self, text: str | None) -> str | None:
        """A path if there is such a file or folder, else the name that it must be."""
        return str(self.at(text)) if text is not None and self.at(text).exists() else text


@dataclass(frozen=True)
class Part:
    """One dataset under one encoder and split; ``None`` is the dataset's own."""

    dataset: StudyDataset
    encoder: str | None
    split: str | None

    @property
    def title(self) -> str:
        """For people: ``bracs uni official``."""
        return " ".join(filter(None, (self.dataset.name, self.encoder, self.split)))

    @property
    def cell(self) -> dict[str, object]:
        """The coordinates that are known before anything is loaded."""
        known = {"dataset": self.dataset.name, "encoder": self.encoder, "split": self.split}
        return {key: value for key, value in known.items() if value is not None}

    def cells(self, study: StudyFile) -> Iterator[Cell]:
        """Its runs, as far as they are known before anything is loaded (all but the folds)."""
        for method, seed, variant in product(study.methods, study.seeds, study.variants):
            yield {**self.cell, "method": method, "seed": seed, "variant": variant.name}

    def data(self, study: StudyFile, around: Surroundings) -> DataRequest:
        """What has to be loaded."""
        own = self.dataset
        return DataRequest(
            str(around.at(own.name)) if own.name.endswith(".toml") else own.name,
            DatasetOptions(
                data_root=around.at(own.data_root) if own.data_root else around.data_root,
                features=around.at(own.features) if own.features else None,
                encoder=self.encoder,
                tree=around.path_or_name(own.tree),
                drop_leaky_patients=own.drop_leaky_patients,
                allow_missing=own.allow_missing,
                cache=around.cache,
                slides=around.at(own.slides) if own.slides else None,
                weights=around.at(own.weights) if own.weights else None,
            ),
            split=around.path_or_name(self.split),
            allow_leaks=own.allow_leaks,
            plugins=tuple(around.at(plugin) for plugin in study.plugins),
        )


def parts_of(study: StudyFile) -> Iterator[Part]:
    """Every dataset of the study under each of its encoders and splits."""
    for dataset in study.datasets:
        encoders: Sequence[str | None] = dataset.encoders or study.encoders or [None]
        splits: Sequence[str | None] = dataset.splits or study.splits or [None]
        for encoder, split in product(encoders, splits):
            yield Part(dataset, encoder, split)
