"""One process's place of work: it makes one run after another on one device."""

from __future__ import annotations

import faulthandler
import traceback
from collections.abc import Callable

import torch

from mil_bench.base.error_location import exits_by_itself
from mil_bench.nn.cpu import prepare_cpu
from mil_bench.runs.directory import RunBusyError, RunDirectory
from mil_bench.runs.execute import Trained, finish, train
from mil_bench.runs.open_dataset import Homes, Opened
from mil_bench.runs.task import DataRequest, Outcome, Prepare, Task, sentence_about
from mil_bench.training.progress import Reporter
from mil_bench.training.seeding import make_deterministic

Finish = Callable[[Trained, Opened, RunDirectory], None]
"""Actions on a chosen model: test and commit, or only commit."""


class Workshop:
    """Makes runs with ``threads`` CPU threads; the dataset of the last one stays open."""

    def __init__(
        self,
        device: torch.device,
        threads: int,
        homes: Homes,
        prepare: Prepare = DataRequest.prepare,
        finish: Finish = finish,
    ) -> None:
        # Mapped features are read-only: a method that writes to them ends the process, and this
        # says in which line.
        faulthandler.enable()
        make_deterministic(device)
        torch.set_num_threads(threads)
        self.device, self.threads = device, threads
        self._homes, self._prepare, self._finish = homes, prepare, finish
        self._data: DataRequest | None = None
        self._opened: Opened | None = None

    def execute(
        self, task: Task, directory: RunDirectory, reporter: Reporter, patience: float = 0.0
    ) -> Outcome:
        """Make the run, continuing from its checkpoint. A failure becomes a file, not an error.

        ``patience`` is how many seconds to wait for a process that holds the run.
        """
        try:
            with directory.locked(patience):
                return self._attempt(task, directory, reporter)
        except RunBusyError as error:
            return Outcome(task.spec, "failed", str(error))
        except OSError as error:
            return Outcome(task.spec, "failed", sentence_about(error))
        finally:
            torch.set_num_threads(self.threads)

    def open(self, data: DataRequest) -> Opened:
        """The dataset and its split; what was open before is let go."""
        if self._opened is None or data != self._data:
            self._opened = None  # room for the next
            dataset, split = self._prepare(data)
            prepare_cpu(dataset.store.dim)
            self._data, self._opened = data, Opened(dataset, split, self.device)
        return self._opened

    def _attempt(self, task: Task, directory: RunDirectory, reporter: Reporter) -> Outcome:
        spec = task.spec
        if directory.result.exists():  # another process was faster
            return Outcome(spec, "skipped", "made by another process")
        try:
            directory.begin(spec)
            opened = self.open(task.data)
            home = self._homes.of(opened.dataset, spec.precision)
            trained = train(spec, opened, home, directory, reporter, self.threads)
            self._finish(trained, opened, directory)
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and not exits_by_itself(error):
                raise  # a scheduler wants its machine back
            directory.fail(spec.key, sentence_about(error), traceback.format_exc())
            return Outcome(spec, "failed", sentence_about(error))
        value = trained.checkpoint.best_value
        return Outcome(spec, "done", f"validation {spec.trainer.monitor} {value:.4f}")
