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
from mil_bench.runs.studies.study_file import (
    StudyCell,
    StudyDataset,
    StudyFile,
    StudyRule,
    as_settings,
)
from mil_bench.runs.task import DataRequest, Prepare, Task


@dataclass
class ExpandedStudy:
    """The runs of a study, each once, and the reason for all that could not be loaded."""

    tasks: list[Task] = field(default_factory=list)
    unready: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ``DataError`` that names everything that could not be loaded."""
        if self.unready:
            reasons = " ".join(f"{name}: {reason}" for name, reason in self.unready.items())
            raise DataError(
                f"nothing was run, because data of the study cannot be used. {reasons} Fix that, "
                "[[exclude]] the dataset in the study file, or execute the other runs with "
                "--allow-missing-datasets."
            )


def expand(study: StudyFile, context: StudyContext, prepare: Prepare) -> ExpandedStudy:
    """Return every run of ``study``, dataset by dataset and fold by fold.

    ``prepare`` is called several times with the same data. A dataset whose runs are all excluded is
    not loaded. Raises ``UnknownNameError``, ``ConfigError`` or ``SplitError`` for settings, rules
    or folds that fit nothing; missing or unusable data are listed in ``unready``.
    """
    expanded, unused = ExpandedStudy(), [*study.include, *study.exclude]
    tasks: dict[str, Task] = {}  # by key: parts may overlap
    for part in study_parts(study):
        # Decided without loading: excluded data may be missing.
        if not any(map(study.selection.may_keep, part.cells(study))):
            unused = [rule for rule in unused if not any(map(rule.touches, part.cells(study)))]
            continue
        data = part.data(study, context)
        try:
            prepare(data)  # cached: plan requests them again
        except DataError as error:
            expanded.unready[part.title] = str(error)
            continue
        selected: list[Task] = []
        for cell, task in _planned(study, part, data, context, prepare):
            # A rule that matched is used, kept or not.
            unused = [rule for rule in unused if not rule.covers(cell)]
            if study.selection.keeps(cell):
                selected.append(task)
        # Fold by fold: complete comparisons come early.
        for task in sorted(selected, key=lambda task: task.spec.fold):
            tasks.setdefault(task.spec.key, task)  # the first of equal keys
    if not expanded.unready:  # data that could not be loaded may have used a rule
        _check_rules(unused, tasks)
    expanded.tasks = list(tasks.values())
    return expanded


def _planned(
    study: StudyFile, part: StudyPart, data: DataRequest, context: StudyContext, prepare: Prepare
) -> Iterator[tuple[StudyCell, Task]]:
    """Every run of a part before the rules, with its coordinates as the study writes them."""
    for variant in study.variants:
        request = GridRequest(
            data=data,
            methods=study.methods,
            folds=part.dataset.folds or study.folds,
            seeds=study.seeds,
            settings={**as_settings(study.settings), **as_settings(variant.settings)},
            precision=study.precision or context.precision,
            online=parse_online(variant.online) if variant.online else None,
            init=context.at(variant.init) if variant.init else None,
        )
        for task in plan(request, context.machine, prepare):
            spec = task.spec
            data_axes = {"encoder": spec.encoder, "split": spec.split}
            run_axes = {"method": spec.method, "fold": spec.fold, "seed": spec.seed}
            # The part's words win over those of the run: rules match what the study file says.
            yield {**data_axes, **part.cell, **run_axes, "variant": variant.name}, task


def _check_rules(unused: list[StudyRule], tasks: dict[str, Task]) -> None:
    if unused:
        raise ConfigError(
            f"the rule ({unused[0]}) of the study file matches no run; correct it or remove it."
        )
    if not tasks:
        raise ConfigError("the rules of the study file exclude every run; relax one of them.")


@dataclass(frozen=True)
class StudyContext:
    """What a study file leaves to the machine and the command.

    Relative paths of the study start at ``folder``; ``data_root`` is for datasets without one;
    ``cache`` is the folder of packed features.
    """

    folder: Path
    machine: MachineRequest
    precision: str = "auto"  # if the study has none
    data_root: Path | None = None
    cache: Path | None = None

    def at(self, text: str) -> Path:
        """Return a path of the study file."""
        return self.folder / Path(text).expanduser()

    def path_or_name(self, text: str | None) -> str | None:
        """Return a path if there is such a file or folder, else the name that it must be."""
        return str(self.at(text)) if text is not None and self.at(text).exists() else text


@dataclass(frozen=True)
class StudyPart:
    """One dataset with one encoder and split, the unit that is loaded; ``None``: its default."""

    dataset: StudyDataset
    encoder: str | None
    split: str | None

    @property
    def title(self) -> str:
        """Return ``bracs uni official``, for people."""
        return " ".join(filter(None, (self.dataset.name, self.encoder, self.split)))

    @property
    def cell(self) -> dict[str, object]:
        """The coordinates that are available before anything is loaded."""
        coordinates = {"dataset": self.dataset.name, "encoder": self.encoder, "split": self.split}
        return {key: value for key, value in coordinates.items() if value is not None}

    def cells(self, study: StudyFile) -> Iterator[StudyCell]:
        """Yield its runs, as far as they are known before loading (without folds)."""
        for method, seed, variant in product(study.methods, study.seeds, study.variants):
            yield {**self.cell, "method": method, "seed": seed, "variant": variant.name}

    def data(self, study: StudyFile, context: StudyContext) -> DataRequest:
        """Return what has to be loaded."""
        dataset = self.dataset
        return DataRequest(
            str(context.at(dataset.name)) if dataset.name.endswith(".toml") else dataset.name,
            DatasetOptions(
                data_root=context.at(dataset.data_root) if dataset.data_root else context.data_root,
                features=context.at(dataset.features) if dataset.features else None,
                encoder=self.encoder,
                tree=context.path_or_name(dataset.tree),
                drop_leaky_patients=dataset.drop_leaky_patients,
                allow_missing=dataset.allow_missing,
                cache=context.cache,
                slides=context.at(dataset.slides) if dataset.slides else None,
                weights=context.at(dataset.weights) if dataset.weights else None,
            ),
            split=context.path_or_name(self.split),
            allow_leaks=dataset.allow_leaks,
            plugins=tuple(context.at(plugin) for plugin in study.plugins),
        )


def study_parts(study: StudyFile) -> Iterator[StudyPart]:
    """Yield every dataset of the study with each of its encoders and splits."""
    for dataset in study.datasets:
        encoders: Sequence[str | None] = dataset.encoders or study.encoders or [None]
        splits: Sequence[str | None] = dataset.splits or study.splits or [None]
        for encoder, split in product(encoders, splits):
            yield StudyPart(dataset, encoder, split)
