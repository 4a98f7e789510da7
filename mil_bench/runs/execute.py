"""Make one run: load, train, predict, commit; or record why it could not be made."""

from __future__ import annotations

import faulthandler
import time
import traceback
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from mil_bench.atomic import write_json
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import EvaluationLoader, TrainLoader
from mil_bench.bags.placement import Home, Homes
from mil_bench.bags.splits.split import Split
from mil_bench.bags.standardize import Standardization
from mil_bench.config import build
from mil_bench.dataset import Dataset
from mil_bench.errors import MilBenchError
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.method import Method
from mil_bench.methods import METHODS
from mil_bench.nn.backend import prepare_cpu
from mil_bench.runs.directory import RunBusyError, RunDirectory
from mil_bench.runs.environment import (
    device_name,
    environment,
    peak_memory_mb,
    reset_peak_memory,
)
from mil_bench.spec import RunSpec
from mil_bench.training.checkpoint import Checkpoint
from mil_bench.training.evaluate import predict
from mil_bench.training.loop import Trainer, TrainingData
from mil_bench.training.precision import feature_type
from mil_bench.training.progress import Reporter
from mil_bench.training.seeding import SETUP, make_deterministic, seed_everything
from mil_bench.training.weights import balanced_class_weights


@dataclass(frozen=True)
class Outcome:
    """How one run ended. ``sentence`` says why it is not done, or the best validation value."""

    spec: RunSpec
    status: Literal["done", "skipped", "failed"]
    sentence: str


class Workshop:
    """One process's place of work: the dataset on its device, used for one run after another."""

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        device: torch.device,
        threads: int,
        homes: Homes,
    ) -> None:
        # Mapped features are read-only: a method that writes to them ends the process, and this
        # says in which line.
        faulthandler.enable()
        make_deterministic(device)
        prepare_cpu(dataset.store.dim)
        torch.set_num_threads(threads)
        self.dataset, self.split, self.device = dataset, split, device
        self.threads, self.homes = threads, homes
        self._kept: dict[object, DeviceBags] = {}

    def execute(self, spec: RunSpec, directory: RunDirectory, reporter: Reporter) -> Outcome:
        """Make the run, continuing from its checkpoint. A failure becomes a file, not an error."""
        try:
            with directory.locked():
                return self._attempt(spec, directory, reporter)
        except RunBusyError as error:
            return Outcome(spec, "failed", str(error))
        except OSError as error:
            return Outcome(spec, "failed", sentence_about(error))
        finally:
            torch.set_num_threads(self.threads)

    def _attempt(self, spec: RunSpec, directory: RunDirectory, reporter: Reporter) -> Outcome:
        if directory.result.exists():  # another process was faster
            return Outcome(spec, "skipped", "made by another process")
        try:
            directory.begin(spec)
            value = self._make(spec, directory, reporter)
        except Exception as error:
            directory.fail(spec.key, sentence_about(error), traceback.format_exc())
            return Outcome(spec, "failed", sentence_about(error))
        return Outcome(spec, "done", f"validation {spec.trainer.monitor} {value:.4f}")

    def _make(self, spec: RunSpec, directory: RunDirectory, reporter: Reporter) -> float:
        reset_peak_memory(self.device)
        checkpoint = self._checkpoint(spec, directory)
        torch.set_num_threads(checkpoint.threads)
        write_json(directory.env_path, environment(self.device))
        method = self._method(spec)
        bags = self._bags(spec, checkpoint.standardization)
        fold = self.split[spec.fold]
        train_loader = self._train_loader(spec, bags, fold.train)
        if spec.trainer.class_weighting == "balanced":
            method.set_class_weights(
                balanced_class_weights(self.dataset.taxonomy, train_loader.leaf, self.device)
            )
        val_loader = EvaluationLoader(bags, fold.val)
        data = TrainingData(train_loader, val_loader, self.dataset.manifest)
        frozen = Trainer(method, data, spec, checkpoint, directory.path, reporter).run()

        method.load_state_dict(frozen.best_model)
        method.eval()
        seed_everything(spec.seed, SETUP)
        val = predict(method, val_loader, self.dataset.manifest, spec.precision)
        # Test bags are read here for the first time, after the model is chosen.
        start = time.perf_counter()
        test_loader = EvaluationLoader(bags, fold.test)
        test = predict(method, test_loader, self.dataset.manifest, spec.precision)
        test_seconds = time.perf_counter() - start
        write_predictions(directory.predictions, {"val": val, "test": test})
        frozen.slimmed().save(directory.checkpoint)
        directory.commit(self._result(spec, frozen, method, test_seconds))
        return frozen.best_value

    def _checkpoint(self, spec: RunSpec, directory: RunDirectory) -> Checkpoint:
        if directory.checkpoint.exists():
            return Checkpoint.load(directory.checkpoint)
        checkpoint = Checkpoint(key=spec.key, threads=self.threads)
        if spec.standardize:
            fitted = Standardization.fit(self.dataset.store, self.split[spec.fold].train)
            checkpoint.mean, checkpoint.std = fitted.mean, fitted.std
        return checkpoint

    def _bags(self, spec: RunSpec, standardization: Standardization | None) -> DeviceBags:
        """The bags as ``spec`` wants them; kept for the next run that wants the same."""
        dtype = feature_type(spec.precision)
        wanted = (dtype, spec.fold if standardization is not None else None)
        home = self._home(spec)
        if wanted not in self._kept:
            if home != "none":
                self._kept.clear()  # room for the next
            self._kept[wanted] = DeviceBags(
                self.dataset.store,
                self.device,
                dtype=dtype,
                standardization=standardization,
                home=home,
            )
        return self._kept[wanted]

    def _home(self, spec: RunSpec) -> Home:
        return self.homes[feature_type(spec.precision)]

    def _method(self, spec: RunSpec) -> Method:
        cls = METHODS.get(spec.method)
        config = build(cls.Config, spec.method_config, f"method {spec.method}")
        seed_everything(spec.seed, SETUP)
        return cls(config, spec.dim, self.dataset.taxonomy).to(self.device)

    def _train_loader(
        self, spec: RunSpec, bags: DeviceBags, slides: tuple[str, ...]
    ) -> TrainLoader:
        labels = self.dataset.manifest.labels()
        return TrainLoader(
            bags,
            slides,
            np.array([self.dataset.taxonomy.index(labels[s]) for s in slides], dtype=np.int64),
            self.dataset.taxonomy,
            batch_size=spec.trainer.batch_size,
            seed=spec.seed,
            sampling=spec.trainer.sampling,
            max_instances=spec.trainer.max_instances,
        )

    def _result(
        self, spec: RunSpec, frozen: Checkpoint, method: Method, test_seconds: float
    ) -> dict[str, Any]:
        fold = self.split[spec.fold]
        return {
            "key": spec.key,
            "status": "done",
            "epochs": frozen.epoch,
            "best_epoch": frozen.best_epoch,
            "monitor": spec.trainer.monitor,
            "best_value": frozen.best_value,
            "train_seconds": frozen.seconds,
            "wait_seconds": sum(row.get("wait_seconds", 0.0) for row in frozen.history),
            "test_seconds": test_seconds,
            "cache": self._home(spec),
            "parameters": sum(p.numel() for p in method.parameters() if p.requires_grad),
            "peak_memory_mb": peak_memory_mb(self.device),
            "device": device_name(self.device),
            "n_train": len(fold.train),
            "n_val": len(fold.val),
            "n_test": len(fold.test),
            "missing": list(self.dataset.missing),
            "split_mode": self.split.mode,
            "split_notes": list(self.split.notes),
        }


def sentence_about(error: BaseException) -> str:
    """One sentence about any error; the traceback file has the rest."""
    match error:
        case MilBenchError():
            return str(error)
        case torch.OutOfMemoryError() | MemoryError():
            return (
                "out of memory; lower batch_size, set max_instances, or use --precision bf16 "
                "or fewer --jobs."
            )
        case OSError():
            where = f" {error.filename}" if error.filename else ""
            return (
                f"cannot read or write{where} ({error.strerror or error}); free space or correct "
                "the permissions, then run the same command with --existing retry-failed."
            )
        case _:
            first = str(error).partition("\n")[0]
            return f"{type(error).__name__}: {first} (see traceback.txt)"
