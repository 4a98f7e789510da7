"""From a request to the list of runs it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mil_bench.errors import UsageError
from mil_bench.methods import METHODS
from mil_bench.online.config import Blocks, Online
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.settings import resolve
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.spec import RunSpec


@dataclass(frozen=True)
class GridRequest:
    """Methods x folds x seeds on one dataset. ``settings`` are the pairs of ``--set``."""

    data: DataRequest
    methods: Sequence[str]
    folds: Literal["all"] | Sequence[int] = "all"
    seeds: Sequence[int] = (0,)
    settings: dict[str, str] = field(default_factory=dict)
    precision: str = "auto"
    online: Online | None = None


def plan(
    request: GridRequest, machine: MachineRequest, prepare: Prepare = DataRequest.prepare
) -> list[Task]:
    """Every run of the grid, fold by fold so that a whole comparison is there early.

    ``machine`` is what ``--precision auto`` looks at. Raises a ``UsageError``, ``DataError`` or
    ``SplitError`` before anything is run.
    """
    machine.check()
    dataset, split = prepare(request.data)
    methods = {name: METHODS.get(name) for name in request.methods}
    if isinstance(request.online, Blocks):
        from mil_bench.online.prepare import check_blocks  # for slides, which few runs need

        check_blocks(request.online, dataset)
    resolved = resolve(methods, dataset.card, request.settings)
    precision = {
        name: machine.precision(request.precision, method.safe_in_bf16)
        for name, method in methods.items()
    }
    folds = range(len(split)) if request.folds == "all" else request.folds
    negative = [seed for seed in request.seeds if seed < 0]
    if negative:
        raise UsageError(f"seed {negative[0]} is negative; expected whole numbers from 0.")
    for fold in folds:
        split[fold]
    specs = [
        RunSpec(
            dataset=dataset.name,
            kind=dataset.kind,
            labels_digest=dataset.manifest.digest(),
            tree=dataset.taxonomy.to_dict(),
            split=split.name,
            split_digest=split.digest(),
            fold=fold,
            encoder=dataset.store.encoder,
            dim=dataset.store.dim,
            features_digest=dataset.store.digest,
            standardize=dataset.standardize,
            method=method,
            method_version=methods[method].version,
            method_config=resolved[method].method.model_dump(mode="json"),
            trainer=resolved[method].trainer,
            seed=seed,
            precision=precision[method],
            online=request.online,
        )
        for fold in dict.fromkeys(folds)
        for seed in dict.fromkeys(request.seeds)
        for method in dict.fromkeys(request.methods)
    ]
    return [Task(request.data, spec) for spec in specs]
