"""The opponents: each method in plain PyTorch, one bag per step, as papers write it.

A module has ``build(dim, taxonomy) -> PlainModel``, whose parameters have the names of our method,
so that one state dict fits both. ``optimizer(model)`` is that of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from mil_bench.base.errors import UnknownNameError
from mil_bench.base.taxonomy import Taxonomy

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from benchmarks.plain.model import PlainModel

BUILDERS: Final = {
    "mean": "pooling:build_mean",
    "max": "pooling:build_max",
    "abmil": "abmil:build",
    "clam-mb": "clam:build",
    "transmil": "transmil:build",
    "hmil": "hmil:build",
}
"""Method -> module and function that build its plain form."""


class Plain(NamedTuple):
    """How to make the plain form of a method and its optimiser."""

    build: Callable[[int, Taxonomy], PlainModel]
    optimizer: Callable[[PlainModel], Optimizer]


def plain(method: str) -> Plain:
    """Return the plain form of ``method``. Raises ``UnknownNameError`` when there is none."""
    if method not in BUILDERS:
        raise UnknownNameError("method with a plain form", method, BUILDERS)
    name, _, builder = BUILDERS[method].partition(":")
    module = import_module(f"{__name__}.{name}")
    return Plain(getattr(module, builder), module.optimizer)
