"""A study in its storage: made once by whoever comes first, found again by its content."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.study import Study

from mil_bench.errors import ConfigError, UsageError
from mil_bench.tuning.samplers import make_pruner
from mil_bench.tuning.search import Search
from mil_bench.tuning.slots import slots
from mil_bench.tuning.storage import Storage
from mil_bench.words import counted

DEFAULT = "default"  # marks trial 0
CONTENT = "search"


def open_study(storage: Storage, search: Search, trials: int) -> Study:
    """The study of ``search``, with trial 0 (the default configuration) in its queue.

    A grid's values are queued as well, in an order drawn from the study's name. Raises
    ``UsageError`` when a grid has fewer points than ``trials``.
    """
    points = _grid(search, trials) if search.rules.sampler == "grid" else []
    with storage.exclusive():
        study = optuna.create_study(
            study_name=search.name,
            storage=storage.rdb,
            direction=search.rules.direction,
            pruner=make_pruner(search.rules.pruner),
            load_if_exists=True,
        )
        made = len(slots(study))
        if not made:
            study.set_user_attr(CONTENT, search.describe())
            study.enqueue_trial(search.space.start(), user_attrs={DEFAULT: True})
        for point in points[max(made - 1, 0) : trials - 1]:
            study.enqueue_trial(point)
    return study


def differences(storage: Storage, search: Search) -> str | None:
    """A sentence when the same method and folds were searched before, but in another way."""
    with storage.errors():
        names = optuna.get_all_study_names(storage.rdb)
        if search.name in names:
            return None
        for name in reversed(names):
            if name.rpartition("-")[0] == search.place:
                study = optuna.load_study(study_name=name, storage=storage.rdb)
                before, n = study.user_attrs.get(CONTENT, {}), len(slots(study))
                return (
                    f"{search.title} has been searched before ({counted(n, 'trial')} of study "
                    f"{name}), but {_changed(before, search.describe())}; this is a new study, the "
                    "other one stays and goes on when its command is given again"
                )
    return None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    told = []
    for key in now:
        if before.get(key) == now[key]:
            continue
        if key == "space":
            told += _ranges(before.get(key, {}), now[key])
        elif key == "runs":
            told.append("the data, settings or version of its runs have changed")
        else:
            told.append(f"its {key} was {before.get(key)} and is {now[key]}")
    return ", ".join(told)


def _ranges(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [
        f"the range of {name} was {before.get(name, 'none')} and is {now.get(name, 'none')}"
        for name in names
    ]


def _grid(search: Search, trials: int) -> list[dict[str, Any]]:
    """Every point but the default's, shuffled, so that a part of a grid is spread over it."""
    for field in search.space.fields:
        if not field.choices:
            raise ConfigError(
                f"--sampler grid needs values for {field.name}, which has the range {field.text}; "
                f"list them as --search {field.name}=a,b, or leave the field out with --fix."
            )
    names = [field.name for field in search.space.fields]
    values = itertools.product(*(field.choices for field in search.space.fields))
    points = [dict(zip(names, point, strict=True)) for point in values]
    points = [point for point in points if point != search.space.start()]
    if trials > len(points) + 1:
        raise UsageError(
            f"the grid of {search.method} has {len(points) + 1} points with the default, --trials "
            f"asks for {trials}; ask for at most {len(points) + 1}."
        )
    random.Random(search.name).shuffle(points)
    return points
