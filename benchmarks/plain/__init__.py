"""The opponents: each method in plain PyTorch, one bag per step, as papers write it.

``benchmarks.plain.<module>`` has ``build(dim, taxonomy) -> PlainModel`` with the parameter names of
our method, so that one state dict fits both, and ``optimizer(model)`` as the papers use it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

MODULES: Final = {
    "mean": "pooling",
    "max": "pooling",
    "abmil": "abmil",
    "clam-sb": "clam",
    "clam-mb": "clam",
    "transmil": "transmil",
    "hmil": "hmil",
}
"""Method -> module of this package that holds it."""


def module_of(method: str) -> ModuleType:
    """The module with ``build`` and ``optimizer`` of ``method``."""
    return import_module(f"{__name__}.{MODULES[method]}")
