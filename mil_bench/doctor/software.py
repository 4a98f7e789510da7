"""Versions: Python, mil-bench, and whether its declared requirements are met."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from mil_bench import __version__
from mil_bench.finding import Finding

PACKAGE = "mil-bench"
SHOWN = ("torch", "numpy", "pandas", "scikit-learn", "optuna")
FOR_DEVELOPERS = {"dev", "bench"}


def check_software() -> Iterator[Finding]:
    """Requirements that are missing or too old are problems; extras are only mentioned."""
    yield Finding("mil-bench", f"{__version__} on Python {platform.python_version()}")
    needed = [Requirement(line) for line in requires(PACKAGE) or []]
    plain = [need for need in needed if not _extra(need)]
    wrong = [need for need in plain if not _met(need)]
    for need in wrong:
        yield Finding(
            need.name,
            f"{_version(need.name) or 'not installed'}, expected {need.specifier}",
            "problem",
            f'pip install "{need.name}{need.specifier}"',
        )
    names = [name for name in SHOWN if name not in {need.name for need in wrong}]
    yield Finding("packages", ", ".join(f"{name} {_version(name)}" for name in names))
    for extra in sorted({_extra(need) for need in needed} - {""} - FOR_DEVELOPERS):
        parts = [need for need in needed if _extra(need) == extra]
        found = ", ".join(f"{need.name} {_version(need.name)}" for need in parts if _met(need))
        complete = all(map(_met, parts))
        how = f'not installed; for it: pip install "{PACKAGE}[{extra}]"'
        yield Finding(f"extra {extra}", found if complete else how)


def _extra(need: Requirement) -> str:
    """The extra that a requirement belongs to, or ``""``."""
    marker = str(need.marker or "")
    return marker.partition("extra ==")[2].strip().strip("\"'")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _met(need: Requirement) -> bool:
    found = _version(need.name)
    return found is not None and need.specifier.contains(found, prereleases=True)
