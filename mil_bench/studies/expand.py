"""From a study file to the list of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mil_bench.errors import ConfigError, DataError
from mil_bench.online.config import parse_online
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.studies.file import StudyFile, as_settings
from mil_bench.studies.parts import Part, Surroundings, parts_of
from mil_bench.studies.rules import Cell, Rule


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
                f"nothing was run, because the study asks for data that cannot be used. {reasons} "
                "Repair that, [[exclude]] the dataset in the study file, or make the other runs "
                "with --allow-missing-datasets."
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
            f"the rule ({unused[0]}) of the study file fits no run; correct it or remove it."
        )
    if not found:
        raise ConfigError("the rules of the study file leave no run; loosen one of them.")
