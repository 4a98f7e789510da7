"""Where the runs of a trial are made: trained, judged on validation slides, and never tested."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mil_bench.errors import RunError
from mil_bench.evaluation.predictions_csv import read_predictions, write_predictions
from mil_bench.evaluation.scores import Scores
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import Trained, result_of
from mil_bench.runs.homes import Homes
from mil_bench.runs.opened import Opened
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.runs.workshop import Workshop
from mil_bench.spec import RunSpec
from mil_bench.taxonomy import Taxonomy
from mil_bench.training.progress import Reporter
from mil_bench.tuning.search import Search
from mil_bench.tuning.view import without_test

_DAY = 86400.0  # two trials may ask for the same run; the second waits for it


@dataclass(frozen=True)
class Measured:
    """One run of a trial: the objective on its validation slides, and what constraints look at."""

    value: float
    result: dict[str, Any]


class Bench:
    """A workshop that holds only training and validation slides of one search.

    Its data are opened at once: a machine that lacks them must not take trials and fail them.
    """

    def __init__(
        self,
        search: Search,
        searches: Path,
        device: torch.device,
        threads: int,
        homes: Homes,
        prepare: Prepare = DataRequest.prepare,
    ) -> None:
        self.search, self.searches = search, searches
        self.workshop = Workshop(
            device,
            threads,
            homes,
            lambda data: without_test(*prepare(data), search.folds),
            commit_validation,
        )
        self.workshop.open(search.data)

    def make(self, spec: RunSpec) -> Measured:
        """Make the run, or take what is there. Raises ``RunError`` when it fails."""
        directory = RunDirectory.of(self.searches, spec)
        outcome = self.workshop.execute(
            Task(self.search.data, spec), directory, Reporter(), patience=_DAY
        )
        if outcome.status == "failed":
            raise RunError(outcome.sentence)
        val = read_predictions(directory.predictions, Taxonomy.from_dict(spec.tree))["val"]
        scores, objective = Scores.of(val), self.search.rules.objective
        value = {**scores.overall, **scores.hierarchical}.get(objective, float("nan"))
        if value != value:
            raise RunError(
                f"the validation {objective} of fold {spec.fold} is undefined for {spec.method}; "
                "choose another --objective, or a split whose validation sets hold every class."
            )
        return Measured(float(value), directory.read_result())


def commit_validation(trained: Trained, opened: Opened, directory: RunDirectory) -> None:
    """Make a run of a trial done: validation predictions alone, and no weights."""
    write_predictions(directory.predictions, {"val": trained.val})
    directory.commit(result_of(trained, opened, test_seconds=0.0))
    directory.checkpoint.unlink(missing_ok=True)
