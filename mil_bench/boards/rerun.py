"""The command that repeats a run: same key, same data, into another folder of runs.

The stored plan of a grid knows the files behind a run. Without a plan (a run from a bundle) the
definition has no paths, so the command has placeholders in angle brackets. Paths outside the
working folder and its neighbours are placeholders as well: pages are published.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from mil_bench.bags.splits.make import is_made
from mil_bench.base.errors import MilBenchError
from mil_bench.base.registry import OURS, PLUGIN, Registry
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.collect import RunRecord
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.spec import HARNESS, BlockTraining, RunSpec, TrainerConfig, as_words
from mil_bench.contract.variants import flattened
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import DATA_ROOT
from mil_bench.datasets.own import OwnData
from mil_bench.methods import METHODS
from mil_bench.runs.plan import resolve
from mil_bench.runs.studies.stored_plans import planned_tasks, stored_grids
from mil_bench.runs.task import DataRequest

REPEATED: Final = "repeated"
"""The folder of repeated runs; in that of the originals they would be skipped as completed."""


class Commands:
    """The commands of many runs; the plans of every folder of runs are read once."""

    def __init__(self) -> None:
        self._planned: dict[Path, dict[str, DataRequest]] = {}

    def of(self, record: RunRecord) -> str:
        """Return the command of a run that was trained; empty for other evidence."""
        if not isinstance(record.spec, RunSpec):
            return ""
        runs = record.path.parents[2]
        if runs not in self._planned:  # once per folder of runs
            tasks = planned_tasks(stored_grids(runs)[0])
            self._planned[runs] = {key: task.data for key, task in tasks.items()}
        result = record.result
        leaks = any(note.kind == "leak" for note in result.split_notes) if result else False
        return command(
            record.spec,
            self._planned[runs].get(record.key),
            allow_missing=bool(result and result.missing),
            allow_leaks=leaks,
            threads=record.environment.get("threads"),
        )


def command(
    spec: RunSpec,
    data: DataRequest | None = None,
    *,
    allow_missing: bool = False,
    allow_leaks: bool = False,
    threads: object = None,
) -> str:
    """Return the ``mil-bench run`` command whose run has the key of ``spec``.

    ``data`` is what the stored plan loads for it. Only settings that differ from the defaults of
    method and dataset are named; all are where one of the two is unknown. A comment says which
    version is required if it is not the installed one.
    """
    if data is None:
        options = [*_unplanned_data(spec)]
        options += ["--allow-missing"] if allow_missing else []
        options += ["--allow-leaks"] if allow_leaks else []
    else:
        options = [*_planned_data(spec, data)]
    words = ["mil-bench", "run", "--method", spec.method, *options]
    words += ["--fold", str(spec.fold), "--seed", str(spec.seed), "--precision", spec.precision]
    words += ["--online", as_words(spec.online)] if spec.online is not None else []
    words += ["--init", f"<weights {spec.init[:12]}>"] if spec.init is not None else []
    for name, value in _settings(spec, data).items():
        words += ["--set", f"{name}={value}"]
    if isinstance(threads, int) and threads > 1:
        words += ["--threads", str(threads)]
    # REPEATED: beside the originals it would be skipped.
    return shlex.join([*words, "--runs", REPEATED]) + _other_version(spec)


def _planned_data(spec: RunSpec, data: DataRequest) -> Iterator[str]:
    """The options about data with which the run was planned."""
    options = data.options
    own = data.dataset.endswith(".toml")
    yield from ("--dataset", shown(Path(data.dataset), spec.dataset) if own else data.dataset)
    yield from _path("--data-root", None if _is_default(options.data_root) else options.data_root)
    yield from _path("--features", options.features)
    yield from ("--encoder", options.encoder) if options.encoder else ()
    yield from ("--tree", _name_or_path(options.tree, "tree")) if options.tree else ()
    split = data.split or (spec.split if is_made(spec.split) else None)
    yield from ("--split", _name_or_path(split, "split")) if split else ()
    yield from _path("--slides", options.slides)
    yield from _path("--weights", options.weights)
    yield from ("--allow-missing",) if options.allow_missing else ()
    yield from ("--drop-leaky-patients",) if options.drop_leaky_patients else ()
    yield from ("--allow-leaks",) if data.allow_leaks else ()
    for plugin in data.plugins:
        yield from ("--plugin", shown(plugin, plugin.name))


def _unplanned_data(spec: RunSpec) -> Iterator[str]:
    """The options about data that follow from the definition, with placeholders for the rest."""
    registered = spec.dataset in DATASETS
    yield from ("--dataset", spec.dataset if registered else f"<{spec.dataset}.toml>")
    if spec.kind == "simulated" and registered:
        yield from ("--data-root", "<folder of the simulated cohort>")
    yield from ("--encoder", spec.encoder) if spec.encoder and registered else ()
    yield from _tree(spec)
    yield from ("--split", spec.split if is_made(spec.split) else f"<split {spec.split}>")
    if isinstance(spec.online, BlockTraining):
        yield from ("--slides", "<slides>")
    yield from _plugin(METHODS, spec.method)
    if registered:
        yield from _plugin(DATASETS, spec.dataset)


def _tree(spec: RunSpec) -> Iterator[str]:
    """``--tree``, if the run has another tree than the default of a registered dataset."""
    if spec.dataset not in DATASETS:
        return
    card = DATASETS.get(spec.dataset).card
    default = card.trees[card.default_tree]
    if default.to_dict() == spec.tree:
        return
    named = [name for name, tree in card.trees.items() if tree.to_dict() == spec.tree]
    named += [level for level in default.levels[:-1] if _is_level(spec, default, level)]
    yield from ("--tree", named[0] if named else f"<tree {spec.tree['name']}>")


def _is_level(spec: RunSpec, tree: Taxonomy, level: str) -> bool:
    """Whether slides were labelled with the classes of ``level``: ``--tree coarse``."""
    trained = Taxonomy.from_dict(spec.tree)
    return trained.name == f"{tree.name}-{level}" and trained.leaves == tree.classes[level]


def _plugin(registry: Registry[Any], name: str) -> Iterator[str]:
    """``--plugin`` of a name that is not from an installed package."""
    origins = {entry.name: entry for entry in registry}
    if name not in origins:
        yield from ("--plugin", f"<file of the {registry.kind} {name}>")
    elif origins[name].origin != OURS:
        module = getattr(registry.get(name), "__module__", "")
        file = getattr(sys.modules.get(module), "__file__", None)
        if file and module.startswith(PLUGIN):
            yield from ("--plugin", shown(Path(file), Path(file).name))


def _path(option: str, path: Path | None) -> tuple[str, ...]:
    return () if path is None else (option, shown(path, option.strip("-")))


def _name_or_path(text: str, what: str) -> str:
    """A name unchanged; a path, which plans store in full, as :func:`shown`."""
    return shown(Path(text), f"{what} {Path(text).name}") if Path(text).is_absolute() else text


def shown(path: Path, name: str) -> str:
    """Return ``path`` relative to the working folder, or ``<name>`` if it is far from it.

    Far is outside the parent of the working folder: such a path may contain names of people.
    """
    here = Path.cwd()
    if path.is_relative_to(here):
        return str(path.relative_to(here))
    # A neighbour, unless that is the root.
    if path.is_relative_to(here.parent) and here.parent != Path(path.anchor):
        return os.path.relpath(path, here)
    return f"<{name}>"


def _is_default(data_root: Path | None) -> bool:
    """Whether ``--data-root`` is what the environment says anyway."""
    root = os.environ.get(DATA_ROOT)
    return bool(root and data_root == Path(root).expanduser().resolve())


def _settings(spec: RunSpec, data: DataRequest | None) -> Mapping[str, str]:
    """The settings that differ from those without ``--set``."""
    own = flattened(spec.method_config)
    usual_method, usual_trainer = _usual(spec.method, data.dataset if data else spec.dataset)
    changed = {
        # Both have the name: it requires a prefix.
        (f"method.{name}" if name in TrainerConfig.model_fields else name): value
        for name, value in own.items()
        if usual_method.get(name) != value
    }
    for name, value in flattened(spec.trainer.model_dump(mode="json")).items():
        if usual_trainer.get(name) != value:
            changed[f"trainer.{name}" if name in own else name] = value
    return changed


@lru_cache
def _usual(method: str, dataset: str) -> tuple[dict[str, str], dict[str, str]]:
    """The flattened settings of method and trainer without ``--set``; none if unknown."""
    card = _card(dataset)
    if method not in METHODS or card is None:
        return {}, {}
    resolved = resolve({method: METHODS.get(method)}, card, {})[method]
    return (
        flattened(resolved.method.model_dump(mode="json")),
        flattened(resolved.trainer.model_dump(mode="json")),
    )


def _card(dataset: str) -> DatasetCard | None:
    """The card of a dataset; of own data the recommended settings of their file alone."""
    if dataset in DATASETS:
        return DATASETS.get(dataset).card
    if not dataset.endswith(".toml"):
        return None
    try:
        return OwnData(Path(dataset)).recommended
    except MilBenchError:  # the file has moved or changed
        return None


def _other_version(spec: RunSpec) -> str:
    """A comment for the shell where the installed code would make another key."""
    if spec.harness != HARNESS:
        return f"  # requires version {spec.harness} of the harness; {HARNESS} is installed"
    if spec.method not in METHODS:
        return ""
    installed = METHODS.get(spec.method).version
    if installed == spec.method_version:
        return ""
    return f"  # requires version {spec.method_version} of {spec.method}; {installed} is installed"
