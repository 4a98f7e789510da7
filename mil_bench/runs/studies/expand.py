"""From a study file to the list of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from mil_bench.base.errors import ConfigError, DataError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.spec import parse_online
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.studies.study_file import Cell, Rule, StudyDataset, StudyFile, as_settings
from mil_bench.runs.task import DataRequest, Prepare, Task


@dataclass
class Expanded:
    """The runs of a study, each once, and what could not be loaded with the reason."""

    tasks: list[Task] = field(default_factory=list)
    unready: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ``DataError`` naming everything that could not be loaded."""
        if self.unready:
            reasons = " ".join(f"{name}: {reason}" for name, reason in self.unready.items())
            raise DataError(
                f"nothing was run, because data of the study cannot be used. {reasons} Fix it, "
                "[[exclude]] the dataset in the study file, or run the rest with "
                "--allow-missing-datasets."
            )


def expand(study: StudyFile, around: Surroundings, prepare: Prepare) -> Expanded:
    """Every run of ``study``, dataset by dataset and fold by fold.

    ``prepare`` is asked for the same data several times. A dataset of which the rules leave nothing
    is not even loaded. Raises ``UnknownNameError``, ``ConfigError`` or ``SplitError`` for settings,
    rules or folds that fit nothing; data that are missing or unusable end up in ``unready``.
    """
    made, unused = Expanded(), [*study.include, *study.exclude]
    found: dict[str, Task] = {}
    for part in parts_of(study):
        if not any(map(study.selection.may_keep, part.cells(study))):
            unused = [rule for rule in unused if not any(map(rule.touches, part.cells(study)))]
            continue
        data = part.data(study, around)
        try:
            prepare(data)
        except DataError as error:
            made.unready[part.title] = str(error)
            continue
        kept: list[Task] = []
        for cell, task in _planned(study, part, data, around, prepare):
            unused = [rule for rule in unused if not rule.covers(cell)]
            if study.selection.keeps(cell):
                kept.append(task)
        for task in sorted(kept, key=lambda task: task.spec.fold):
            found.setdefault(task.spec.key, task)
    if not made.unready:
        _check_rules(unused, found)
    made.tasks = list(found.values())
    return made


def _planned(
    study: StudyFile, part: Part, data: DataRequest, around: Surroundings, prepare: Prepare
) -> Iterator[tuple[Cell, Task]]:
    """Every run of a part before the rules, with its coordinates as the study writes them."""
    for variant in study.variants:
        request = GridRequest(
            data=data,
            methods=study.methods,
            folds=part.dataset.folds or study.folds,
            seeds=study.seeds,
            settings={**as_settings(study.settings), **as_settings(variant.settings)},
            precision=study.precision or around.precision,
            online=parse_online(variant.online) if variant.online else None,
        )
        for task in plan(request, around.machine, prepare):
            run = task.spec
            found = {"encoder": run.encoder, "split": run.split}
            own = {"method": run.method, "fold": run.fold, "seed": run.seed}
            yield {**found, **part.cell, **own, "variant": variant.name}, task


def _check_rules(unused: list[Rule], found: dict[str, Task]) -> None:
    if unused:
        raise ConfigError(
            f"the rule ({unused[0]}) of the study file matches no run; correct it or remove it."
        )
    if not found:
        raise ConfigError("the rules of the study file exclude every run; relax one of them.")


# What a study asks of one dataset under one encoder and split: the unit that is loaded.


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
