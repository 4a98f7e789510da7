"""From a request to the list of its runs: folds, seeds, and resolved settings."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import torch

from mil_bench.bags.formats.names import UNKNOWN
from mil_bench.base.config import StrictConfig, build
from mil_bench.base.errors import ConfigError, SplitError, UnknownNameError, UsageError
from mil_bench.contract.dataset import Dataset, DatasetCard
from mil_bench.contract.method import Method, MethodConfig
from mil_bench.contract.spec import (
    AdapterTraining,
    BlockTraining,
    Experiment,
    Online,
    RunSpec,
    TrainerConfig,
    TransferredSpec,
)
from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.training.initial_weights import (
    InitialWeights,
    leak_of,
    match_weights,
    read_initial_weights,
)
from mil_bench.training.online.wrapped import Adapted


@dataclass(frozen=True)
class GridRequest:
    """Methods x folds x seeds on one dataset; ``settings`` are the pairs of ``--set``."""

    data: DataRequest
    methods: Sequence[str]
    folds: Literal["all"] | Sequence[int] = "all"
    seeds: Sequence[int] = (0,)
    settings: dict[str, str] = field(default_factory=dict)
    precision: str = "auto"
    online: Online | None = None
    init: Path | None = None


def plan(
    request: GridRequest, machine: MachineRequest, prepare: Prepare = DataRequest.prepare
) -> list[Task]:
    """Return every run of the grid, fold by fold so that a complete comparison is there early.

    The device of ``machine`` decides ``--precision auto``. Raises ``UsageError``, ``DataError`` or
    ``SplitError`` before anything is run.
    """
    machine.check()
    dataset, split = prepare(request.data)
    methods = {name: METHODS.get(name) for name in request.methods}
    if isinstance(request.online, BlockTraining):  # imports encoders, which few runs need
        from mil_bench.training.online.prepare import check_blocks

        check_blocks(request.online, dataset)
    resolved = resolve(methods, dataset.card, request.settings)
    weights = _initial_weights(request, resolved, methods, dataset)
    precision = {
        name: machine.precision(request.precision, method.safe_in_bf16)
        for name, method in methods.items()
    }
    folds = range(len(split)) if request.folds == "all" else request.folds
    negative = [seed for seed in request.seeds if seed < 0]
    if negative:
        raise UsageError(f"seed {negative[0]} is negative; expected whole numbers from 0.")
    for fold in folds:  # raises for a fold that the split does not have
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
            init=None if weights is None else weights.digest,
        )
        # Fold by fold: every method of a fold ends before the next fold begins.
        for fold in dict.fromkeys(folds)
        for seed in dict.fromkeys(request.seeds)
        for method in dict.fromkeys(request.methods)
    ]
    for spec in specs:
        leak = None if weights is None else leak_of(weights, spec)
        if leak is not None and not request.data.allow_leaks:
            raise SplitError(
                f"{leak.text}; run the fold of the weights, use weights of other slides, or pass "
                "--allow-leaks, which marks the results."
            )
    return [Task(request.data, spec, request.init) for spec in specs]


def _initial_weights(
    request: GridRequest,
    resolved: Mapping[str, ResolvedSettings],
    methods: Mapping[str, type[Method]],
    dataset: Dataset,
) -> InitialWeights | None:
    """Read the file of ``--init`` and compare it with every method, before anything is run."""
    head_only = [name for name, own in resolved.items() if own.trainer.train == "head"]
    if head_only and request.online is not None:
        raise ConfigError("train=head freezes what --online trains; use one of the two.")
    if request.init is None:
        if head_only:
            raise ConfigError(
                f"train=head would train {head_only[0]} on a body without training; pass --init "
                "FILE."
            )
        return None
    weights = read_initial_weights(request.init)
    facts = weights.facts
    if facts is not None and UNKNOWN not in (facts.encoder, dataset.store.encoder):
        if facts.encoder != dataset.store.encoder:
            raise ConfigError(
                f"{request.init} was trained on features of {facts.encoder}, but those of "
                f"{dataset.name} are of {dataset.store.encoder}; use features of that encoder."
            )
        if facts.standardize != dataset.standardize:
            raise ConfigError(
                f"{request.init} was trained {'with' if facts.standardize else 'without'} "
                "standardised features; set `standardize` in the dataset file accordingly."
            )
    for name, cls in methods.items():
        try:
            with torch.device("meta"):  # shapes only: no memory, no random numbers
                method = cls(resolved[name].method, dataset.store.dim, dataset.taxonomy)
        except (NotImplementedError, RuntimeError):  # a plug-in that computes while it is built
            continue
        if isinstance(request.online, AdapterTraining):
            with torch.device("meta"):
                method = Adapted(method, request.online.adapter)
        match_weights(weights, method, name)
    return weights


TRAINER, METHOD = "trainer", "method"
NAMED = 3  # methods in a message


@dataclass
class ResolvedSettings:
    """The settings of one method on one dataset."""

    method: MethodConfig
    trainer: TrainerConfig


@dataclass
class _Assigned:
    trainer: dict[str, Any] = field(default_factory=dict)
    method: dict[str, Any] = field(default_factory=dict)


def resolve(
    methods: Mapping[str, type[Method]], card: DatasetCard, settings: Mapping[str, str]
) -> dict[str, ResolvedSettings]:
    """Return the settings of every method of a grid.

    Trainer: defaults < the method's ``recipe`` < the card's ``overrides["trainer"]`` < its
    ``overrides["methods"][name]["trainer"]`` < ``--set``.
    Method: defaults < the rest of the card's ``overrides["methods"][name]`` < ``--set``.

    A key of ``settings`` is a field name, or ``trainer.x`` / ``method.x`` when both have ``x``, or
    ``hmil.x`` for one method of the grid. Raises ``UnknownNameError`` for a key that no method of
    the grid has and ``ConfigError`` for an ambiguous key or a wrong value.
    """
    check_overrides(card)
    assigned = {name: _Assigned() for name in methods}
    for key, text in settings.items():
        _assign(key, text, methods, assigned)
    return {
        name: ResolvedSettings(
            # Later keys win: the card's advice, then --set.
            build(cls.Config, {**advice.method, **assigned[name].method}, f"method {name}"),
            build(
                TrainerConfig,
                {**cls.recipe, **advice.trainer, **assigned[name].trainer},
                f"trainer of {name}",
            ),
        )
        for name, cls in methods.items()
        for advice in [_advice(card, name)]
    }


_NO_ADVICE = DatasetCard("", "", "", "", "", {}, "")


def is_default(spec: Experiment) -> bool:
    """Return whether the installed version of the method has these settings without ``--set``.

    A dataset that is not registered, such as a ``.toml``, is taken to recommend none. A method
    that is not installed has no default, and neither have predictions made elsewhere.
    """
    if isinstance(spec, TransferredSpec):
        return is_default(spec.source)
    usual = _default_of(spec)
    return usual is not None and spec == usual


def _default_of(spec: Experiment) -> RunSpec | None:
    """Return ``spec`` with the default settings of the installed version of its method.

    ``None`` for a method that is not installed, and for predictions without a training. Precision
    and everything else that ``--set`` does not change are kept.
    """
    if not isinstance(spec, RunSpec):
        return None
    try:
        cls = METHODS.get(spec.method)
        card = DATASETS.get(spec.dataset).card if spec.dataset in DATASETS else _NO_ADVICE
    except UsageError:
        return None
    # With the card's advice, as a run without --set.
    usual = resolve({spec.method: cls}, card, {})[spec.method]
    changes = {
        "method_version": cls.version,
        "method_config": usual.method.model_dump(mode="json"),
        "trainer": usual.trainer,
        "online": None,
        "init": None,
    }
    return spec.model_copy(update=changes)


def check_overrides(card: DatasetCard) -> None:
    """Raise ``UnknownNameError`` where the file of own data has settings for an unknown method."""
    if card.file is None:
        return
    for name in card.overrides.get("methods", {}):
        if name not in METHODS:
            hint = f"Correct [methods] in {card.file}."
            raise UnknownNameError("method", name, METHODS.names(), hint)


def _advice(card: DatasetCard, name: str) -> _Assigned:
    """The settings that the dataset recommends for one method."""
    method = dict(card.overrides.get("methods", {}).get(name, {}))
    # [trainer] for all methods, below that of the method.
    trainer = {**card.overrides.get("trainer", {}), **method.pop(TRAINER, {})}
    return _Assigned(trainer, method)


def _assign(
    key: str, text: str, methods: Mapping[str, type[Method]], assigned: Mapping[str, _Assigned]
) -> None:
    """Assign one setting to every method of the grid that it concerns."""
    scope, dot, name = key.rpartition(".")
    if dot and scope not in (TRAINER, METHOD, *methods):
        raise UnknownNameError("prefix of a setting", scope, [TRAINER, METHOD, *methods])
    used = False
    for method, cls in methods.items():
        if scope in methods and scope != method:  # hmil.x concerns hmil only
            continue
        in_trainer = name in TrainerConfig.model_fields and scope != METHOD
        # A prefix decides; without one, both having the field is refused.
        in_method = name in cls.Config.model_fields and scope != TRAINER
        if in_trainer and in_method:
            raise ConfigError(
                f"setting {key}: both the trainer and method {method!r} have {name!r}; write "
                f"{TRAINER}.{name}={text} or {METHOD}.{name}={text}."
            )
        if in_trainer:
            assigned[method].trainer[name] = parse(TrainerConfig, name, text)
        elif in_method:
            assigned[method].method[name] = parse(cls.Config, name, text)
        used = used or in_trainer or in_method
    if not used:
        whose = " and ".join(methods) if len(methods) <= NAMED else ""
        hint = f"`mil-bench show {next(iter(methods))}` lists its settings."
        raise UnknownNameError("setting", key, _known(scope, methods), hint, whose)


def _known(scope: str, methods: Mapping[str, type[Method]]) -> Iterable[str]:
    prefix = f"{scope}." if scope else ""
    chosen = [cls for name, cls in methods.items() if scope not in methods or scope == name]
    names = set(TrainerConfig.model_fields) if scope != METHOD else set()
    if scope != TRAINER:
        names.update(field for cls in chosen for field in cls.Config.model_fields)
    return {prefix + name for name in names}


def parse(config: type[StrictConfig], name: str, text: str) -> Any:
    """Return text of the command line as a field's value: ``none`` if allowed, JSON for lists."""
    annotation = config.model_fields[name].annotation
    optional = get_origin(annotation) in (Union, types.UnionType)  # only `X | None` takes none
    if optional and type(None) in get_args(annotation) and text.lower() in ("none", "null"):
        return None
    if text.startswith(("[", "{")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
