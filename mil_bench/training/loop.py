"""The one training loop, for every method."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.loader import EvaluationLoader, TrainLoader, level_labels
from mil_bench.base.errors import RunError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.checked_methods import checked_output, checked_terms
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.scores import leaf_scores
from mil_bench.nn.precision import autocast, gradient_scaler
from mil_bench.training.checkpoint import Checkpoint, host_copy, seed_everything, write_train_log
from mil_bench.training.optimizers import Schedule, make_optimizer
from mil_bench.training.predict import predict
from mil_bench.training.progress import Reporter
from mil_bench.training.stopping import Stopper


@dataclass
class TrainingData:
    """The data of training: training and validation bags. There is no test set here."""

    train: TrainLoader
    val: EvaluationLoader
    manifest: Manifest


class Trainer:
    """Trains ``method`` (already on its device) and keeps ``checkpoint`` on disk up to date.

    ``checkpoint`` is a new one or one read from disk; training resumes after its epoch.
    """

    def __init__(
        self,
        method: Method,
        data: TrainingData,
        spec: RunSpec,
        checkpoint: Checkpoint,
        folder: Path,
        reporter: Reporter,
    ) -> None:
        self.method, self.data, self.spec = method, data, spec
        self.checkpoint, self.folder, self.reporter = checkpoint, folder, reporter
        self.config = spec.trainer
        self.device = data.train.bags.device
        self.optimizer = make_optimizer(method, self.config)
        self.scaler = gradient_scaler(spec.precision, self.device)
        self.stopper = Stopper(self.config.monitor, self.config.patience, self.config.min_epochs)
        # The last step may have fewer batches.
        per_epoch = math.ceil(len(data.train) / self.config.accumulate)
        self.schedule = Schedule(
            self.optimizer,
            self.config.schedule,
            steps=self.config.epochs * per_epoch,
            warmup_steps=round(self.config.warmup_epochs * per_epoch),
        )
        self.wait_seconds = 0.0
        self._resume()  # after optimiser and schedule exist: it fills them

    def run(self) -> Checkpoint:
        """Train to the last epoch or until stopped early and return the complete checkpoint."""
        self.reporter.begin(self.spec, self.checkpoint.epoch)
        try:
            while not self.checkpoint.finished:
                self._run_epoch(self.checkpoint.epoch + 1)
        finally:
            self.reporter.end()
        return self.checkpoint

    def _run_epoch(self, epoch: int) -> None:
        start = time.perf_counter()
        # Per epoch, so that a resumed run draws what an uninterrupted one draws.
        seed_everything(self.spec.seed, epoch)
        self.method.train()
        losses, rate = self.train_epoch(epoch)
        trained = time.perf_counter() - start
        self.method.eval()
        scores = leaf_scores(
            predict(self.method, self.data.val, self.data.manifest, self.spec.precision)
        )
        improved = self.stopper.update(epoch, scores)
        # Plateau follows the validated epoch.
        self.schedule.after_epoch(epoch, self.stopper.best_epoch)
        seconds = time.perf_counter() - start
        row = {
            "epoch": epoch,
            **losses,
            "lr": rate,
            **{f"val_{name}": float(value) for name, value in scores.items()},
            "seconds": seconds,
            "wait_seconds": self.wait_seconds,
            "bags_per_second": len(self.data.train.slide_ids) / trained,  # of training only
        }
        self._keep(epoch, row, improved, seconds)
        self.reporter.epoch(epoch, row)

    def train_epoch(self, epoch: int) -> tuple[dict[str, float], float]:
        """Train on every bag once; return the mean of every loss term, and the last learning rate.

        :attr:`wait_seconds` is then how long this epoch has waited for batches. Losses are summed
        on the device, because reading one would wait for its kernels: the host waits only at the
        end of the epoch.
        """
        progress = (epoch - 1) / self.config.epochs  # 0 in the first epoch: e / E of the papers
        self.method.before_epoch(progress)
        bags, per_batch = len(self.data.train.slide_ids), self.config.batch_size
        accumulate = self.config.accumulate
        sums: dict[str, Tensor] = {}
        rate = 0.0
        batches = WaitTimer(self.data.train.epoch(epoch))
        for i, batch in enumerate(batches):
            if i % accumulate == 0:
                rate = self.schedule.before_step()
                # Counted before the step: the last one may be short, and so may the last batch.
                bags_of_step = min(accumulate * per_batch, bags - i * per_batch)
            with autocast(self.spec.precision, self.device):
                output = checked_output(self.method, self.method(batch), batch)
                terms = checked_terms(self.method, self.method.loss(output, batch, progress))
                # float32: terms of bfloat16 would add up coarsely.
                total = torch.stack([term.float() for term in terms.values()]).sum()
            # Weighted by bags: accumulated batches have the gradient of one of all their bags.
            self.scaler.scale(total * (len(batch) / bags_of_step)).backward()  # type: ignore[no-untyped-call]
            for name, value in {"loss": total, **_named(terms)}.items():
                term = value.detach().double() * len(batch)  # float64 over a whole epoch
                sums[name] = sums[name] + term if name in sums else term
            if (i + 1) % accumulate == 0 or i + 1 == len(self.data.train):
                self._step()
                self.method.after_step(progress)  # teachers follow the student's new weights
        self.wait_seconds = batches.seconds
        means = {name: value.item() / bags for name, value in sums.items()}
        if not math.isfinite(means["loss"]):
            infinite = ", ".join(key for key, value in means.items() if not math.isfinite(value))
            raise RunError(
                f"the training loss became {means['loss']} in epoch {epoch} (not finite: "
                f"{infinite}); lower lr, set clip_norm, or use --precision 32."
            )
        return means, rate

    def _step(self) -> None:
        # The gradients of float16 are scaled: clipping needs their real size.
        if self.config.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _keep(self, epoch: int, row: dict[str, float], improved: bool, seconds: float) -> None:
        """Write the state after an epoch: the checkpoint, then the log derived from it.

        In this order, a process killed in between leaves a log that lacks an epoch, and the resumed
        run writes it again. The other order could leave an epoch that is repeated.
        """
        checkpoint = self.checkpoint
        checkpoint.model = host_copy(self.method.state_dict())
        if improved:
            checkpoint.best_model = checkpoint.model  # a copy already, shared by both fields
            checkpoint.best_epoch = self.stopper.best_epoch
            checkpoint.best_value = self.stopper.best_value
        checkpoint.optimizer = self.optimizer.state_dict()
        checkpoint.schedule = dict(self.schedule.state_dict())
        checkpoint.scaler = self.scaler.state_dict()
        checkpoint.history.append(row)
        checkpoint.epoch, checkpoint.seconds = epoch, checkpoint.seconds + seconds
        checkpoint.finished = epoch == self.config.epochs or self.stopper.should_stop(epoch)
        checkpoint.save(self.folder / "checkpoint.pt")  # the checkpoint before the log, see above
        write_train_log(self.folder / "train.csv", checkpoint.history)

    def _resume(self) -> None:
        checkpoint = self.checkpoint
        if checkpoint.epoch > 0:  # a kill may have left the log one epoch behind
            write_train_log(self.folder / "train.csv", checkpoint.history)
        if checkpoint.epoch == 0 or checkpoint.finished:
            return
        assert checkpoint.model is not None
        assert checkpoint.optimizer is not None
        self.method.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.schedule.load_state_dict(checkpoint.schedule)  # type: ignore[arg-type]
        self.scaler.load_state_dict(checkpoint.scaler or {})
        self.stopper.best_epoch = checkpoint.best_epoch
        self.stopper.best_value = checkpoint.best_value


def _named(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"loss_{name}": value for name, value in terms.items()}


T = TypeVar("T")


class WaitTimer(Generic[T]):
    """The same items; ``seconds`` is how long the loop over them has waited for the next one."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self.seconds = 0.0

    def __iter__(self) -> Iterator[T]:
        items, end = iter(self._items), object()
        while True:
            start = time.perf_counter()  # only the wait for an item, not the work on it
            item = next(items, end)
            self.seconds += time.perf_counter() - start
            if item is end:
                return
            yield item  # type: ignore[misc]


def balanced_class_weights(
    taxonomy: Taxonomy, leaf: NDArray[np.int64], device: torch.device
) -> dict[str, Tensor]:
    """Return the class weights ``(K_level,)`` of every level, from training labels.

    They are ``n / (classes present * bags of the class)``.

    This is scikit-learn's "balanced" rule: the mean weight over training bags is 1. A class without
    training bags has weight 0.
    """
    weights = {}
    for level, labels in level_labels(taxonomy, leaf).items():
        counts = np.bincount(labels, minlength=len(taxonomy.classes[level]))
        present = counts > 0
        # Maximum: a class without bags must not divide by zero.
        weight = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0)
        weights[level] = torch.tensor(weight, dtype=torch.float32, device=device)
    return weights
