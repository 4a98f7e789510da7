"""``mil_bench.run``: the runs of ``mil-bench run`` from Python, with their predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from rich.console import Console

from mil_bench.bags.placement import PlacementChoice
from mil_bench.base.errors import RunError, UsageError
from mil_bench.base.registry import load_plugins
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec, parse_online
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.predictions_csv import header, ordered_heads
from mil_bench.evaluation.scores import Scores
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.grid import run_tasks
from mil_bench.runs.load_run import LoadedRun, load_run
from mil_bench.runs.machine import ExecutorName, Existing, MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.stored_predictions import stored_predictions
from mil_bench.runs.studies.stored_plans import store_grid
from mil_bench.runs.studies.study_file import as_settings
from mil_bench.runs.task import DataRequest, Prepare, RunOutcome, remembered

if TYPE_CHECKING:
    import pandas as pd

PathLike = str | Path
SetName = Literal["test", "val"]


def run(
    method: str | type[Method] | Sequence[str | type[Method]],
    dataset: PathLike | Dataset | Sequence[PathLike | Dataset],
    *,
    fold: Literal["all"] | int | Sequence[int] = "all",
    seed: int | Sequence[int] = 0,
    settings: Mapping[str, Any] | None = None,
    runs: PathLike = "runs",
    split: str | None = None,
    data_root: PathLike | None = None,
    features: PathLike | None = None,
    encoder: str | None = None,
    tree: str | None = None,
    online: str | None = None,
    init: PathLike | None = None,
    slides: PathLike | None = None,
    weights: PathLike | None = None,
    cache_dir: PathLike | None = None,
    allow_missing: bool = False,
    drop_leaky_patients: bool = False,
    allow_leaks: bool = False,
    plugins: Sequence[PathLike] = (),
    existing: Existing = "skip",
    executor: ExecutorName = "local",
    jobs: int = 1,
    threads: int = 1,
    device: str = "auto",
    precision: str = "auto",
    placement: PlacementChoice = "auto",
    memory: float | None = None,
    slurm: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> list[CompletedRun]:
    """Train and test methods on datasets and return every run, in the order of the plan.

    Keyword arguments are the options of ``mil-bench run``, with the same defaults; completed runs
    under ``runs`` are skipped and returned. ``method`` is a registered name or class, ``dataset`` a
    name, a ``.toml`` file or a :class:`~mil_bench.contract.dataset.Dataset` in memory; both may be
    several. ``settings`` are the pairs of ``--set``: ``{"epochs": 20, "hmil.dim": 256}``.

    A failed run raises nothing, see :attr:`CompletedRun.error`. Raises a ``MilBenchError`` before
    the first run for unknown names, settings that do not fit, unusable data or a leaking split.
    """
    paths = tuple(Path(path) for path in plugins)  # tuples: requests are keys of dictionaries
    load_plugins(paths)
    in_memory: dict[DataRequest, Dataset] = {}
    requests: list[DataRequest] = []
    for item in _listed(dataset):
        options = DatasetOptions() if isinstance(item, Dataset) else DatasetOptions(
            data_root=_path(data_root),
            features=_path(features),
            encoder=encoder,
            tree=tree,
            drop_leaky_patients=drop_leaky_patients,
            allow_missing=allow_missing,
            cache=_path(cache_dir),
            slides=_path(slides),
            weights=_path(weights),
        )  # fmt: skip
        name = item.name if isinstance(item, Dataset) else str(item)
        requests.append(DataRequest(name, options, split, allow_leaks, paths))
        if isinstance(item, Dataset):
            # The request is the key under which the run finds its data.
            if requests[-1] in in_memory:
                raise UsageError(
                    f"two datasets in memory are called {item.name!r}; rename one of their cards."
                )
            in_memory[requests[-1]] = item
    if in_memory and (jobs > 1 or executor != "local"):
        raise UsageError(
            "a dataset in memory can be used by this process only; pass jobs=1 and "
            "executor='local', or describe the data in a .toml file (docs/add-a-dataset.md)."
        )
    machine = MachineRequest(
        runs=Path(runs),
        existing=existing,
        executor=executor,
        jobs=jobs,
        threads=threads,
        device=device,
        cache=placement,
        memory=memory,
        slurm=tuple((slurm or {}).items()),
    )
    names = [item if isinstance(item, str) else registered_name(item) for item in _listed(method)]
    prepare = remembered(in_memory)
    tasks = [
        task
        for data in requests
        for task in plan(
            GridRequest(
                data=data,
                methods=names,
                folds="all" if fold == "all" else _listed(fold),
                seeds=_listed(seed),
                settings=as_settings(settings or {}),
                precision=precision,
                online=parse_online(online) if online else None,
                init=_path(init),
            ),
            machine,
            prepare,
        )
    ]
    if not in_memory:  # what was in memory cannot be found again by `mil-bench retry`
        title = f"{','.join(names)} on {','.join(data.dataset for data in requests)}"
        store_grid(machine.runs, title, tasks, jobs)
    outcome = run_tasks(tasks, machine, Console(quiet=quiet), prepare)
    by_key = {ended.spec.key: ended for ended in outcome.all}  # failed runs too
    return [CompletedRun(task.data, by_key[task.spec.key], machine.runs, prepare) for task in tasks]


@dataclass(frozen=True, eq=False, repr=False)
class CompletedRun:
    """A run that has ended: its definition, its folder, its predictions and scores.

    Predictions are read from the folder when they are first needed.
    """

    _data: DataRequest
    _outcome: RunOutcome
    _runs: Path
    _prepare: Prepare

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}: {self.spec.title}, {self.status}>"

    @property
    def spec(self) -> RunSpec:
        """Everything that defines the run."""
        return self._outcome.spec

    @property
    def key(self) -> str:
        """Hash of :attr:`spec`, the name of the run folder."""
        return self.spec.key

    @property
    def path(self) -> Path:
        """The run folder."""
        return RunDirectory.of(self._runs, self.spec).path

    @property
    def status(self) -> Literal["done", "skipped", "failed"]:
        """``skipped`` is a run that was complete before."""
        return self._outcome.status

    @property
    def error(self) -> str:
        """Why the run has failed, in one sentence; empty if it has not."""
        return self._outcome.sentence if self.status == "failed" else ""

    def predictions(self, which: SetName = "test") -> pd.DataFrame:
        """Return a row per slide: ``slide_id``, ``group_id``, ``label`` and ``<level>:<class>``.

        Raises ``RunError`` for a failed run.
        """
        import pandas as pd

        return pd.DataFrame(_columns(self._set(which)))

    def scores(self, which: SetName = "test") -> dict[str, float]:
        """Return every score by its column name on boards, computed from the predictions.

        Raises ``RunError`` for a failed run.
        """
        return Scores.of(self._set(which)).by_name

    def load(self, device: str = "cpu") -> LoadedRun:
        """Return the trained method in evaluation mode, and the bags as it receives them.

        Raises ``RunError`` for a failed run.
        """
        self._refuse_failed()
        dataset, _ = self._prepare(self._data)
        return load_run(RunDirectory(self.path), dataset, torch.device(device))

    def _set(self, which: SetName) -> Predictions:
        if which not in self._sets:
            raise UsageError(f"the run has no set {which!r}; expected one of {list(self._sets)}.")
        return self._sets[which]

    @cached_property
    def _sets(self) -> Mapping[str, Predictions]:
        self._refuse_failed()
        return predictions_of(RunDirectory(self.path), self.spec)

    def _refuse_failed(self) -> None:
        if self.status == "failed":
            raise RunError(f"{self.spec.title} has failed: {self.error}")


def registered_name(method: type[Method]) -> str:
    """Return the name of a method class. Raises ``UsageError`` if it is not registered."""
    path = f"{method.__module__}:{method.__qualname__}"
    for entry in METHODS:
        if entry.target is method or entry.target == path:
            return entry.name
    raise UsageError(
        f"the class {method.__qualname__} is not registered; write @METHODS.register('my-mil') "
        "above it."
    )


def predictions_of(directory: RunDirectory, spec: RunSpec) -> dict[str, Predictions]:
    """Return the predictions of a complete run by set (``val``, ``test``).

    Upper heads of a method that was trained with a shuffled tree are left out: they decide other
    classes than those of ``spec.tree``. Raises as
    :func:`~mil_bench.runs.stored_predictions.stored_predictions`.
    """
    sets = stored_predictions(directory, Taxonomy.from_dict(spec.tree))
    if spec.shuffled_tree:
        return {name: predictions.leaves_alone() for name, predictions in sets.items()}
    return sets


def _columns(predictions: Predictions) -> dict[str, Any]:
    """The columns of ``predictions.csv`` of one set."""
    leaves = predictions.taxonomy.leaves
    identity = [
        predictions.slide_ids,
        predictions.groups,
        [leaves[label] for label in predictions.labels],
    ]
    probabilities = [
        column for level in ordered_heads(predictions) for column in predictions.heads[level].T
    ]
    return dict(zip(header(predictions)[1:], [*identity, *probabilities], strict=True))


def _listed(items: Any) -> list[Any]:
    """Several items as a list; one item, as a list of one."""
    single = isinstance(items, str | Path | Dataset | type) or not isinstance(items, Iterable)
    return [items] if single else list(items)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path).expanduser()
