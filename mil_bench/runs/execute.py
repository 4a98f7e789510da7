"""Execute one run on an open dataset: train, predict, commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mil_bench.bags.conversion import Standardization
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.formats.scale import PatchScale, read_scale
from mil_bench.bags.loader import EvaluationLoader, TrainLoader
from mil_bench.bags.placement import Placement, PlacementChoice, choose_placement
from mil_bench.base.atomic import write_json
from mil_bench.base.config import build
from mil_bench.base.errors import RunError
from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.checked_methods import check_coords, check_trainable
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.method import Method
from mil_bench.contract.spec import AdapterTraining, BlockTraining, Precision, RunSpec
from mil_bench.contract.split import Split
from mil_bench.contract.store import BagStore
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.methods import METHODS
from mil_bench.nn.precision import feature_type
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.environment import (
    code_digest,
    device_name,
    environment,
    forward_flops,
    peak_memory_mb,
    reset_peak_memory,
)
from mil_bench.training.checkpoint import SETUP, Checkpoint, seed_everything
from mil_bench.training.initial_weights import (
    freeze_body,
    leak_of,
    load_initial_weights,
    of_run,
)
from mil_bench.training.loop import Trainer, TrainingData, balanced_class_weights
from mil_bench.training.online.pixels import EncodedBags, TileBags
from mil_bench.training.online.prepare import check_slides, fine_tuned, pixels_of
from mil_bench.training.online.wrapped import Adapted, FineTuned
from mil_bench.training.predict import predict
from mil_bench.training.progress import Reporter


@dataclass(frozen=True)
class Trained:
    """The chosen model and its validation predictions. No test bag was read."""

    spec: RunSpec
    method: Method
    checkpoint: Checkpoint
    bags: DeviceBags
    placement: Placement
    val: Predictions
    notes: tuple[Note, ...] = ()


def train(
    spec: RunSpec,
    opened: OpenDataset,
    placement: Placement,
    directory: RunDirectory,
    reporter: Reporter,
    threads: int,
    init: Path | None = None,
) -> Trained:
    """Train on the fold's training slides, choosing the model by its validation slides.

    Resumes from the checkpoint of ``directory``, which also fixes the number of threads. ``init``
    is the file of initial weights that ``spec`` names. The caller holds the lock of ``directory``.
    """
    weights = of_run(spec, init)
    reset_peak_memory(opened.device)  # before anything is allocated
    checkpoint = _checkpoint(spec, opened, directory, threads)
    # Sums round by the number of threads: a resumed run keeps its own.
    torch.set_num_threads(checkpoint.threads)
    code = code_digest(METHODS.get(spec.method))
    facts = {**environment(opened.device), "code": code}
    write_json(directory.env_path, facts)  # before training: a failed run has it too
    method = new_method(spec, opened.dataset, opened.dataset.taxonomy, opened.device)
    if weights is not None:  # a resumed run takes them too, and then the state of its checkpoint
        begun = load_initial_weights(weights, method, spec.method)
        write_json(directory.env_path, {**facts, "init": begun.describe()})
    if spec.trainer.train == "head":
        freeze_body(method)
    check_trainable(spec.method, method)
    check_coords(spec.method, method, spec.dataset, opened.dataset.store.coords)
    fold, manifest = opened.split[spec.fold], opened.dataset.manifest
    if isinstance(method, FineTuned):
        pixels = pixels_of(opened.dataset)
        # Pixels that do not give the stored features would train another run.
        check_slides(method, pixels, fold.train[0])
        train_bags: DeviceBags = TileBags(pixels, method, opened.device)
        bags: DeviceBags = EncodedBags(pixels, method, opened.device)
    else:
        bags = opened.bags(spec, placement, checkpoint.standardization, method.neighbours)
        train_bags = bags
    train_loader = _train_loader(spec, opened, train_bags, fold.train)
    if spec.trainer.class_weighting == "balanced":
        method.set_class_weights(
            balanced_class_weights(opened.dataset.taxonomy, train_loader.leaf, opened.device)
        )
    val_loader = EvaluationLoader(bags, fold.val)
    data = TrainingData(train_loader, val_loader, manifest)
    checkpoint = Trainer(method, data, spec, checkpoint, directory.path, reporter).run()
    method.load_state_dict(checkpoint.best_model)  # training ends with the last epoch's weights
    method.eval()
    seed_everything(spec.seed, SETUP)  # as a run that is resumed after training
    val = predict(method, val_loader, manifest, spec.precision)
    leak = None if weights is None else leak_of(weights, spec)
    notes = () if leak is None else (leak,)
    return Trained(spec, method, checkpoint, bags, placement, val, notes)


def finish(trained: Trained, opened: OpenDataset, directory: RunDirectory) -> None:
    """Predict the test slides of the fold with the chosen model and commit the run."""
    spec = trained.spec
    start = time.perf_counter()
    # Test bags are read here for the first time, after the model is chosen: nothing before this
    # line can depend on them.
    test_loader = EvaluationLoader(trained.bags, opened.split[spec.fold].test)
    test = predict(trained.method, test_loader, opened.dataset.manifest, spec.precision)
    test_seconds = time.perf_counter() - start
    write_predictions(directory.predictions, {"val": trained.val, "test": test})
    # Without optimiser state; a rerun would start again.
    trained.checkpoint.slimmed().save(directory.checkpoint)
    directory.commit(result_of(trained, opened, test_seconds))  # last: from here the run exists


def _checkpoint(
    spec: RunSpec, opened: OpenDataset, directory: RunDirectory, threads: int
) -> Checkpoint:
    if directory.checkpoint.exists():
        return Checkpoint.load(directory.checkpoint)  # statistics of features come from it too
    checkpoint = Checkpoint(key=spec.key, threads=threads)
    if spec.standardize:
        # Of training bags only.
        fitted = Standardization.fit(opened.dataset.store, opened.split[spec.fold].train)
        checkpoint.mean, checkpoint.std = fitted.mean, fitted.std
    return checkpoint


def new_method(
    spec: RunSpec, dataset: Dataset | None, taxonomy: Taxonomy, device: torch.device
) -> Method:
    """Return the untrained model of a run on ``device``, always with the same weights.

    ``dataset`` has the place of the encoder that ``--online blocks`` trains; other runs need none.
    Raises ``RunError`` where it is required and absent.
    """
    cls = METHODS.get(spec.method)
    config = build(cls.Config, spec.method_config, f"method {spec.method}")
    seed_everything(spec.seed, SETUP)  # the same initial weights on every machine
    method = cls(config, spec.dim, taxonomy)  # on the host, then moved: a GPU draws other numbers
    if isinstance(spec.online, AdapterTraining):
        method = Adapted(method, spec.online.adapter)
    elif isinstance(spec.online, BlockTraining):
        if dataset is None:
            raise RunError(
                f"{spec.title} trained blocks of its encoder, so it reads slides and not features; "
                "use a run without --online blocks."
            )
        method = fine_tuned(method, spec.online, dataset, device, spec.precision)
    return method.to(device)


def _train_loader(
    spec: RunSpec, opened: OpenDataset, bags: DeviceBags, slides: tuple[str, ...]
) -> TrainLoader:
    labels, taxonomy = opened.dataset.manifest.labels(), opened.dataset.taxonomy
    # The smaller limit holds.
    limits = [spec.trainer.max_instances, getattr(spec.online, "tiles", None)]
    return TrainLoader(
        bags,
        slides,
        np.array([taxonomy.index(labels[s]) for s in slides], dtype=np.int64),
        taxonomy,
        batch_size=spec.trainer.batch_size,
        seed=spec.seed,
        sampling=spec.trainer.sampling,
        max_instances=min(filter(None, limits), default=None),  # None without any limit
    )


def result_of(trained: Trained, opened: OpenDataset, test_seconds: float) -> dict[str, Any]:
    """Return the content of ``result.json``."""
    spec, checkpoint, fold = trained.spec, trained.checkpoint, opened.split[trained.spec.fold]
    return {
        "key": spec.key,
        "status": "done",
        "epochs": checkpoint.epoch,
        "best_epoch": checkpoint.best_epoch,
        "monitor": spec.trainer.monitor,
        "best_value": checkpoint.best_value,
        "train_seconds": checkpoint.seconds,
        "wait_seconds": sum(row.get("wait_seconds", 0.0) for row in checkpoint.history),
        "test_seconds": test_seconds,
        "cache": trained.placement,
        # Trainable only: frozen encoders are not the method's.
        "parameters": sum(p.numel() for p in trained.method.parameters() if p.requires_grad),
        "peak_memory_mb": peak_memory_mb(opened.device),
        "flops": forward_flops(trained.method),
        "device": device_name(opened.device),
        "device_type": opened.device.type,
        "n_train": len(fold.train),
        "n_val": len(fold.val),
        "n_test": len(fold.test),
        "missing": list(opened.dataset.missing),
        "patches": _patches(opened.dataset.store, fold.train[0]),
        "split_mode": opened.split.mode,
        "split_notes": [asdict(note) for note in (*opened.split.notes, *trained.notes)],
    }


def _patches(store: BagStore, slide: str) -> dict[str, float | None]:
    """The scale of the patches, which predictions for new slides compare with theirs."""
    file = store.files.get(slide)
    return asdict(PatchScale() if file is None else read_scale(file))


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
        features = (dataset.store.digest, dtype)  # two datasets with equal features are one
        if features not in self._decisions:
            self._decisions[features] = choose_placement(
                self._choice, dataset.store, dtype, self._devices, standardize=dataset.standardize
            )
        return self._decisions[features]
