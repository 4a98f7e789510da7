"""Versions of Python, mil-bench and its requirements, and the database of searches."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mil_bench.base.finding import Finding
from mil_bench.base.version import __version__
from mil_bench.tuning.storage import StorageRequest

PACKAGE = "mil-bench"
SHOWN = ("torch", "numpy", "pandas", "scikit-learn", "optuna")
FOR_DEVELOPERS = {"dev", "bench"}


def check_software() -> Iterator[Finding]:
    """Report requirements that are missing or too old as problems; missing extras are ok."""
    yield Finding("mil-bench", f"{__version__} on Python {platform.python_version()}")
    requirements = [Requirement(line) for line in requires(PACKAGE) or []]
    wrong = [need for need in requirements if not _extra(need) and not _met(need)]
    for need in wrong:
        yield Finding(
            need.name,
            f"{_version(need.name) or 'not installed'}; requires {need.specifier}",
            "problem",
            f'pip install "{need.name}{need.specifier}"',
        )
    names = [name for name in SHOWN if name not in {need.name for need in wrong}]
    yield Finding("packages", ", ".join(f"{name} {_version(name)}" for name in names))
    for extra in sorted({_extra(need) for need in requirements} - {""} - FOR_DEVELOPERS):
        parts = [need for need in requirements if _extra(need) == extra]
        versions = ", ".join(f"{need.name} {_version(need.name)}" for need in parts)
        how = f'not installed; to add it: pip install "{PACKAGE}[{extra}]"'
        yield Finding(f"extra {extra}", versions if all(map(_met, parts)) else how)


def _extra(need: Requirement) -> str:
    """Return the extra that a requirement belongs to, or ``""``."""
    marker = str(need.marker or "")
    return marker.partition("extra ==")[2].strip().strip("\"'")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _met(need: Requirement) -> bool:
    installed = _version(need.name)
    return installed is not None and need.specifier.contains(installed, prereleases=True)


SECONDS = 5  # until a server that does not answer counts as unreachable


def check_storage(runs: Path, url: str | None) -> Iterator[Finding]:
    """Connect to the database of searches and query it; nothing is written.

    Without ``url`` this is the SQLite file next to the runs, if there is one.
    """
    if url is None:
        request = StorageRequest.beside(runs)
        if request.file is None or not request.file.exists():
            return
        url = request.url
    try:
        parsed = make_url(url)
    except ArgumentError:
        advice = "expected a URL such as postgresql+psycopg://USER@HOST/DATABASE"
        yield Finding("storage", f"{url!r} is not a database URL", "problem", advice)
        return
    shown = parsed.render_as_string(hide_password=True)
    try:
        fact = _answer(parsed)
    except ImportError as error:
        advice = 'pip install "mil-bench[postgres]"'
        yield Finding("storage", f"{shown}: no driver ({error})", "problem", advice)
    except SQLAlchemyError as error:
        cause = " ".join(str(error.__cause__ or error).split())
        advice = "check the server, and host, user, password and database of the URL"
        yield Finding("storage", f"{shown} does not answer ({cause})", "problem", advice)
    else:
        yield Finding("storage", f"{shown} {fact}")


def _answer(url: URL) -> str:
    sqlite = url.get_backend_name() == "sqlite"
    settings: dict[str, Any] = {"timeout" if sqlite else "connect_timeout": SECONDS}
    if sqlite:  # a plain connection would make an empty file
        settings["uri"] = True
        url = url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, connect_args=settings)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()
    return "answers"
