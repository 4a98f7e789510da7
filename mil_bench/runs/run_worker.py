"""Execute runs sequentially in one process, on one device."""

from __future__ import annotations

import faulthandler
import traceback
from collections.abc import Callable

import torch

from mil_bench.base.error_location import exits_by_itself
from mil_bench.nn.precision import prepare_cpu
from mil_bench.runs.directory import RunBusyError, RunDirectory
from mil_bench.runs.execute import FeaturePlacement, OpenDataset, Trained, finish, train
from mil_bench.runs.task import DataRequest, Prepare, RunOutcome, Task, sentence_about
from mil_bench.training.checkpoint import make_deterministic
from mil_bench.training.progress import Reporter

Finish = Callable[[Trained, OpenDataset, RunDirectory], None]
"""What happens to a chosen model: it is tested and committed, or only committed."""


class RunWorker:
    """Executes runs with ``threads`` CPU threads; the dataset of the last one stays open."""

    def __init__(
        self,
        device: torch.device,
        threads: int,
        placement: FeaturePlacement,
        prepare: Prepare = DataRequest.prepare,
        finish: Finish = finish,
    ) -> None:
        # Mapped features are read-only: a method that writes to them ends the process (SIGSEGV),
        # and this prints in which line.
        faulthandler.enable()
        make_deterministic(device)
        torch.set_num_threads(threads)
        self.device, self.threads = device, threads
        self._placement, self._prepare, self._finish = placement, prepare, finish
        self._data: DataRequest | None = None
        self._opened: OpenDataset | None = None

    def execute(
        self, task: Task, directory: RunDirectory, reporter: Reporter, patience: float = 0.0
    ) -> RunOutcome:
        """Execute a run, resuming from its checkpoint. A failure becomes a file, not an error.

        ``patience`` is how many seconds to wait for another process that executes the run.
        """
        try:
            with directory.locked(patience):
                return self._attempt(task, directory, reporter)
        except RunBusyError as error:
            return RunOutcome(task.spec, "failed", str(error))
        except OSError as error:
            return RunOutcome(task.spec, "failed", sentence_about(error))
        finally:  # a checkpoint may have requested another number
            torch.set_num_threads(self.threads)

    def open(self, data: DataRequest) -> OpenDataset:
        """Return the dataset and its split; the dataset open before is closed."""
        if self._opened is None or data != self._data:
            self._opened = None  # free its memory before the next one is read
            dataset, split = self._prepare(data)
            prepare_cpu(dataset.store.dim)  # depends on the number of features
            self._data, self._opened = data, OpenDataset(dataset, split, self.device)
        return self._opened

    def _attempt(self, task: Task, directory: RunDirectory, reporter: Reporter) -> RunOutcome:
        spec = task.spec
        if directory.result.exists():  # another process was faster
            return RunOutcome(spec, "skipped", "completed by another process")
        try:
            directory.begin(spec)  # definition first: an interrupted run can be resumed by it
            opened = self.open(task.data)
            placement = self._placement.of(opened.dataset, spec.precision)
            trained = train(spec, opened, placement, directory, reporter, self.threads, task.init)
            self._finish(trained, opened, directory)
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and not exits_by_itself(error):
                raise  # a scheduler ends this process; the run is interrupted, not failed
            directory.fail(spec.key, sentence_about(error), traceback.format_exc())
            return RunOutcome(spec, "failed", sentence_about(error))
        value = trained.checkpoint.best_value
        return RunOutcome(spec, "done", f"validation {spec.trainer.monitor} {value:.4f}")
