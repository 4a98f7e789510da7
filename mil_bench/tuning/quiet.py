"""Optuna without its warnings about what the protocol decided for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from optuna.exceptions import ExperimentalWarning

P = ParamSpec("P")
T = TypeVar("T")


def quiet(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """``call`` it. Heartbeats are experimental, and meant for Optuna's own loop, which has no
    exact number of trials; :mod:`mil_bench.tuning.worker` beats them itself.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        return call(*args, **options)
