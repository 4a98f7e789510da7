"""A study in its storage: created once by the first process, then identified by its content."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study

from mil_bench.base.errors import ConfigError, UsageError, counted
from mil_bench.tuning.search import GP_TRIALS, PrunerName, SamplerName, Search
from mil_bench.tuning.storage import Storage, without_optuna_warnings
from mil_bench.tuning.trial_queue import last_attempts

DEFAULT = "default"  # marks trial 0
CONTENT = "search"


def open_study(storage: Storage, search: Search, trials: int) -> Study:
    """Return the study of ``search``, with trial 0 (the default settings) in its queue.

    A grid's values are queued as well, in an order drawn from the study's name. Raises
    ``UsageError`` when a grid has fewer points than ``trials``.
    """
    # Before the lock: refusing needs no storage.
    points = _grid(search, trials) if search.rules.sampler == "grid" else []
    with storage.exclusive():
        study = optuna.create_study(
            study_name=search.name,
            storage=storage.rdb,
            direction=search.direction,
            pruner=make_pruner(search.rules.pruner),
            load_if_exists=True,  # another process may have created it
        )
        made = len(last_attempts(study))  # attempts at one trial count once
        if not made:
            study.set_user_attr(CONTENT, search.describe())
            study.enqueue_trial(search.space.start(), user_attrs={DEFAULT: True})
        # Points not yet queued; trial 0 is the default, which the grid leaves out.
        for point in points[max(made - 1, 0) : trials - 1]:
            study.enqueue_trial(point)
    return study


def differences(storage: Storage, search: Search) -> str | None:
    """Return a sentence if the same method and folds were searched before, but differently."""
    with storage.errors():
        names = optuna.get_all_study_names(storage.rdb)
        if search.name in names:
            return None
        for name in reversed(names):  # latest first
            if name.rpartition("-")[0] == search.subject:
                study = optuna.load_study(study_name=name, storage=storage.rdb)
                before, n = study.user_attrs.get(CONTENT, {}), len(last_attempts(study))
                return (
                    f"{search.title} has been searched before ({counted(n, 'trial')} of study "
                    f"{name}), but {_changed(before, search.describe())}. This is a new study; "
                    "rerun the earlier command to resume the other one"
                )
    return None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changes = []
    for key in now:
        if before.get(key) == now[key]:
            continue
        if key == "space":
            changes += _ranges(before.get(key, {}), now[key])
        elif key == "runs":
            changes.append("the data, settings or version of its runs have changed")
        else:
            changes.append(f"its {key} was {before.get(key)} and is {now[key]}")
    return ", ".join(changes)


def _ranges(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [
        f"the range of {name} was {before.get(name, 'none')} and is {now.get(name, 'none')}"
        for name in names
    ]


def _grid(search: Search, trials: int) -> list[dict[str, Any]]:
    """Every point except the default, shuffled, so that a part of a grid is spread over it."""
    for field in search.space.fields:
        if not field.choices:
            raise ConfigError(
                f"--sampler grid requires values for {field.name}, which has the range "
                f"{field.text}; list them as --search {field.name}=a,b, or omit the setting with "
                "--fix."
            )
    names = [field.name for field in search.space.fields]
    values = itertools.product(*(field.choices for field in search.space.fields))
    points = [dict(zip(names, point, strict=True)) for point in values]
    # Trial 0 is in the queue anyway.
    points = [point for point in points if point != search.space.start()]
    if trials > len(points) + 1:
        raise UsageError(
            f"the grid of {search.method} has {len(points) + 1} points with the default, but "
            f"--trials is {trials}; use at most {len(points) + 1}."
        )
    # Seeded by the name: the same order in every process.
    random.Random(search.name).shuffle(points)
    return points


MEDIAN_STARTUP = 5
WILCOXON_P = 0.1


def make_sampler(name: SamplerName, trials: int, study: str, number: int) -> BaseSampler:
    """Return a sampler for trial ``number`` only, so that a resumed study continues identically.

    ``grid`` values are queued in advance; beyond them nothing is drawn.
    """
    # By number: a trial draws the same values whichever process takes it.
    seed = int.from_bytes(sha256(f"{study}:{number}".encode()).digest()[:4], "big")
    if name == "auto":
        name = "gp" if trials <= GP_TRIALS else "tpe"
    if name == "gp":
        return without_optuna_warnings(GPSampler, seed=seed, warn_independent_sampling=False)
    return TPESampler(seed=seed) if name == "tpe" else RandomSampler(seed=seed)


def make_pruner(name: PrunerName) -> BasePruner:
    """Return a pruner; steps are the runs of a trial, fold by fold."""
    match name:
        case "median":
            return MedianPruner(n_startup_trials=MEDIAN_STARTUP)
        case "wilcoxon":
            return without_optuna_warnings(WilcoxonPruner, p_threshold=WILCOXON_P)
        case "none":
            return NopPruner()
