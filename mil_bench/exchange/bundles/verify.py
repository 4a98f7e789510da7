"""One run of a bundle trained again, and what its difference means."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mil_bench.base.errors import DataError, RunError, UsageError, counted, listed
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.spec import HARNESS, RunSpec
from mil_bench.contract.split import Split
from mil_bench.datasets.load import adapter_of, is_level
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.predictions import SeedFold
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.bundles.sources import RunSource, run_folders, unpacked
from mil_bench.exchange.bundles.usual_differences import Judgement, judge
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.grid import run_tasks
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.stored_predictions import stored_predictions
from mil_bench.runs.task import DataRequest, Task, remembered


@dataclass(frozen=True)
class Repetition:
    """A run of a bundle and the same run trained here: balanced accuracies as fractions."""

    source: RunSource
    spec: RunSpec
    reported: float
    repeated: float
    judgement: Judgement
    environment: Mapping[str, Any]


def verify(
    bundle: Path, data: DataRequest, device: str, cell: SeedFold | None, console: Console
) -> Repetition:
    """Train one run of the bundle's method again, and judge the difference of its scores.

    ``cell`` is the seed and fold, chosen at random for ``None``. An empty name in ``data`` stands
    for the dataset of the bundle. Raises ``RunError`` where the data at hand are not those of the
    run, or another version of the method is installed. Raises ``DataError`` for a bundle without a
    run to train.
    """
    source = unpacked(bundle)
    directory = _chosen(bundle, source, cell)
    spec = directory.read_spec()
    if spec.method not in METHODS:
        raise RunError(f"{spec.method} is not installed; load its file with --plugin.")
    data = _of_run(data, spec)
    prepare = remembered()  # data are opened once for check and run
    _check(spec, *prepare(data))
    reported_env = directory.read_environment() if directory.env_path.exists() else {}
    threads = reported_env.get("threads")
    with tempfile.TemporaryDirectory(prefix="mil-bench-verify-") as folder:
        machine = MachineRequest(
            # Threads change the last digits.
            Path(folder),
            device=device,
            threads=threads if isinstance(threads, int) else 1,
        )
        outcome = run_tasks([Task(data, spec)], machine, console, prepare)
        if outcome.failed:
            raise RunError(f"the run could not be repeated: {outcome.failed[0].sentence}")
        again = RunDirectory.of(machine.runs, spec)
        reported, repeated = _score(directory, spec), _score(again, spec)
        environment = again.read_environment()
    judgement = judge(spec.method, repeated - reported, reported_env, environment)
    return Repetition(source, spec, reported, repeated, judgement, environment)


def parse_cell(text: str) -> SeedFold | None:
    """Return ``(seed, fold)`` of ``1,0``, and ``None`` for ``random``."""
    if text == "random":
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--cell {text!r} is neither random nor SEED,FOLD such as 0,3.")
    return int(parts[0]), int(parts[1])


def _chosen(bundle: Path, source: RunSource, cell: SeedFold | None) -> RunDirectory:
    """The folder of one run of the submitted method, not of an anchor."""
    submission = source.submission
    method = submission.method.partition(" ")[0] if submission else ""
    anchors = submission.anchors if submission else ()
    by_cell: dict[SeedFold, list[RunDirectory]] = {}
    for run in run_folders(bundle):
        directory = RunDirectory(run.path)
        spec = directory.read_definition()
        if spec.method == method and isinstance(spec, RunSpec):
            by_cell.setdefault((spec.seed, spec.fold), []).append(directory)
    if not by_cell:
        raise DataError(f"{bundle} holds no run of {method} that was trained with mil-bench.")
    if cell is None:
        cell = random.SystemRandom().choice(sorted(by_cell))
    if cell not in by_cell:
        known = listed([f"{seed},{fold}" for seed, fold in sorted(by_cell)], 5)
        raise UsageError(f"{bundle} has no run of seed {cell[0]}, fold {cell[1]}; it has {known}.")
    # An anchor and a variant of the same method have a run each in a cell.
    return by_cell[cell][-1 if method in anchors else 0]


def _of_run(data: DataRequest, spec: RunSpec) -> DataRequest:
    name = data.dataset or spec.dataset
    options = data.options
    if options.tree is None:
        options = replace(options, tree=_tree(name, spec))
    return replace(data, dataset=name, options=options, split=data.split or spec.split)


def _tree(dataset: str, spec: RunSpec) -> str | None:
    """The value of ``--tree`` for the tree of a run: its name, or that of an upper level."""
    name = str(spec.tree.get("name"))
    card = adapter_of(dataset).card
    level = name.rpartition("-")[2]
    if name in card.trees:
        return name if name != card.default_tree else None
    return level if is_level(level) else None


def _check(spec: RunSpec, dataset: Dataset, split: Split) -> None:
    facts = {
        "labels": (dataset.manifest.digest(), spec.labels_digest),
        "tree": (dataset.taxonomy.digest(), Taxonomy.from_dict(spec.tree).digest()),
        "split": (split.digest(), spec.split_digest),
        "features": (dataset.store.digest, spec.features_digest),
        "version of the method": (METHODS.get(spec.method).version, spec.method_version),
        "version of the harness": (HARNESS, spec.harness),
    }
    other = [f"{name} ({here}, the run {there})" for name, (here, there) in facts.items()
             if here != there]  # fmt: skip
    if other:
        raise RunError(
            f"{counted(len(other), 'fact')} here and in the run differ: {listed(other, 6)}; pass "
            "the data of the run (--dataset, --data-root, --features)."
        )


def _score(directory: RunDirectory, spec: RunSpec) -> float:
    predictions = stored_predictions(directory, Taxonomy.from_dict(spec.tree))["test"]
    return Scores.of(predictions).values[Score(PRIMARY)]
