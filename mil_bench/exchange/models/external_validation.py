"""External validation: models of one dataset tested on the labelled slides of another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mil_bench.base.atomic import write_json
from mil_bench.base.errors import DataError, counted, listed
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.spec import RunSpec, TransferredSpec
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.exchange.models.ensemble import EnsemblePredictions
from mil_bench.exchange.models.members import common_tree, predict_slides
from mil_bench.exchange.models.new_slides import check_fits
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.environment import device_name, environment
from mil_bench.runs.slide_sets import sets_of
from mil_bench.runs.stored_predictions import stored_predictions

NO_PATIENT = "slide:"  # begins the group of a slide whose patient is unknown


@dataclass(frozen=True)
class ExternalValidation:
    """Predictions for the slides of ``dataset``, with its labels.

    ``runs`` are the stored transferred runs, one per model; ``stored_before`` of them existed.
    ``own`` and ``here`` map ``(seed, fold)`` to the predictions of each model, for its own test
    slides and for these. They are empty where two models share a cell.
    """

    ensemble: EnsemblePredictions
    runs: tuple[RunDirectory, ...]
    stored_before: int
    own: dict[SeedFold, Predictions]
    here: dict[SeedFold, Predictions]
    notes: tuple[str, ...]

    def predictions(self) -> Predictions:
        """Return the mean over models, to be scored like the predictions of one."""
        e = self.ensemble
        labels = [e.taxonomy.index(label) for label in e.labels]
        ids, groups = np.array(e.slide_ids), np.array(e.groups)
        return Predictions(e.taxonomy, ids, groups, np.array(labels, dtype=np.int64), e.mean)


def validate_on(
    directories: Sequence[RunDirectory],
    dataset: Dataset,
    runs: Path,
    device: torch.device,
    *,
    quiet: bool = True,
) -> ExternalValidation:
    """Predict the slides of ``dataset`` with the models of runs on another dataset, and store it.

    Every model becomes a run folder under ``runs``, whose definition is a ``TransferredSpec``; one
    that exists is kept. Raises ``DataError`` for another label tree, for slides that a model was
    trained on, and for the dataset of the training itself; ``FeatureError`` as
    :func:`~mil_bench.exchange.models.new_slides.check_fits`.
    """
    tree = common_tree(directories)
    _check_tree(tree, dataset)
    for directory in directories:
        _check_other(directory, dataset)
    notes = (
        *check_fits(dataset.store, directories, dataset.name),
        *_shared_patients(directories, dataset),
    )
    start = time.perf_counter()
    slides = dataset.manifest.slide_ids
    # Only slides with labels are predicted.
    store = replace(dataset.store, rows={s: dataset.store.rows[s] for s in slides})
    predicted = predict_slides(directories, store, device, dataset.name, quiet=quiet)
    # One wall time for all models: each has its share.
    seconds = (time.perf_counter() - start) / len(directories)
    labels, patients = dataset.manifest.labels(), dataset.manifest.clusters()
    ensemble = replace(
        predicted,
        labels=tuple(labels[slide] for slide in slides),
        groups=tuple(patients[slide] for slide in slides),
    )
    folders, own, here = [], dict[SeedFold, Predictions](), dict[SeedFold, Predictions]()
    before = 0
    for i, directory in enumerate(directories):
        # One member keeps the first axis.
        member = replace(ensemble, heads={v: p[i : i + 1] for v, p in ensemble.heads.items()})
        validation = ExternalValidation(member, (), 0, {}, {}, ())
        spec = directory.read_spec()
        folder, existed = _store(runs, spec, dataset, validation.predictions(), seconds, device)
        folders.append(folder)
        before += existed  # bool: True counts 1
        here[spec.seed, spec.fold] = _test_set(folder, tree)
        own[spec.seed, spec.fold] = _test_set(directory, tree)
    if len(here) < len(directories):  # members that are not one method on one split
        own, here = {}, {}
    return ExternalValidation(ensemble, tuple(folders), before, own, here, notes)


def transferred_spec(source: RunSpec, dataset: Dataset) -> TransferredSpec:
    """Return the definition of the predictions of one model for another dataset."""
    return TransferredSpec(
        dataset=dataset.name,
        kind=dataset.kind,
        labels_digest=dataset.manifest.digest(),
        tree=source.tree,
        split=source.split,
        split_digest=source.split_digest,
        fold=source.fold,
        encoder=dataset.store.encoder,
        dim=dataset.store.dim,
        features_digest=dataset.store.digest,
        method=source.method,
        method_version=source.method_version,
        method_config=source.method_config,
        seed=source.seed,
        source=source,
    )


def _check_tree(tree: Taxonomy, dataset: Dataset) -> None:
    if set(dataset.taxonomy.leaves) == set(tree.leaves):
        return
    only_here = [leaf for leaf in dataset.taxonomy.leaves if leaf not in tree.leaves]
    absent = [leaf for leaf in tree.leaves if leaf not in dataset.taxonomy.leaves]
    parts = [
        f"{where} {listed(leaves)}"
        for where, leaves in (("only here:", only_here), ("only in training:", absent))
        if leaves
    ]
    classes = ", ".join(f'"{leaf}"' for leaf in tree.leaves)
    raise DataError(
        f"{dataset.name} has other classes than the models ({'; '.join(parts)}); expected the same "
        f"leaves. Rename its labels, or declare absent classes in its file: classes = [{classes}]."
    )


def _check_other(directory: RunDirectory, dataset: Dataset) -> None:
    """Refuse the data of the training, and slides that the model was trained on."""
    spec = directory.read_spec()
    if (dataset.manifest.digest(), dataset.store.digest) == (
        spec.labels_digest,
        spec.features_digest,
    ):
        raise DataError(
            f"run {directory.path.name} was trained on {dataset.name} itself; its test predictions "
            "are in its folder. Pass another dataset with --dataset."
        )
    # Validation slides count, too: weights were chosen by them.
    used = sets_of(directory, dataset.manifest.slide_ids)
    seen = [slide for slide, of_set in used.items() if of_set != "test"]
    if seen:
        raise DataError(
            f"run {directory.path.name} was trained on {len(seen)} of {len(dataset.manifest)} "
            f"slides of {dataset.name} (first: {listed(seen)}); leave them out of the label table. "
            "Rename slides that only share the id."
        )


def _shared_patients(directories: Sequence[RunDirectory], dataset: Dataset) -> list[str]:
    """Patients of the data that have the id of a patient of the training; it may be chance."""
    here = {p for p in dataset.manifest.clusters().values() if not p.startswith(NO_PATIENT)}
    trained = {
        str(group)
        for directory in directories
        for p in stored_predictions(directory, common_tree([directory])).values()
        for group in p.groups
    }
    shared = sorted(here & trained)
    if not shared:
        return []
    one = len(shared) == 1
    verb = "has the id of a training patient" if one else "have the ids of training patients"
    return [
        f"{counted(len(shared), 'patient')} of {dataset.name} {verb} (first: {listed(shared)}); "
        "if they are the same people, leave them out"
    ]


def _store(
    runs: Path,
    source: RunSpec,
    dataset: Dataset,
    predictions: Predictions,
    seconds: float,
    device: torch.device,
) -> tuple[RunDirectory, bool]:
    """Write the run folder of one model, unless it is there; and whether it was."""
    spec = transferred_spec(source, dataset)
    directory = RunDirectory.of(runs, spec)
    with directory.locked():  # two processes may validate the same model
        if directory.status() == "done":
            return directory, True
        directory.begin(spec)
        write_json(directory.env_path, environment(device))
        write_predictions(directory.predictions, {"test": predictions})
        directory.commit(
            {
                "key": spec.key,
                "status": "done",
                "test_seconds": seconds,
                "device": device_name(device),
                "device_type": device.type,
                "n_test": len(predictions),
                "missing": list(dataset.missing),
            }
        )
    return directory, False


def _test_set(directory: RunDirectory, tree: Taxonomy) -> Predictions:
    test = stored_predictions(directory, tree)["test"]
    return test.leaves_alone() if directory.read_definition().shuffled_tree else test
