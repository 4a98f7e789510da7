"""Whether the storage of tuning studies answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mil_bench.finding import Finding
from mil_bench.tuning.storage import StorageRequest

SECONDS = 5  # until a server that does not answer counts as unreachable


def check_storage(runs: Path, url: str | None) -> Iterator[Finding]:
    """Connect and ask one question; nothing is written.

    Without ``url`` the SQLite file beside the runs, if there is one.
    """
    if url is None:
        own = StorageRequest.beside(runs)
        if own.file is None or not own.file.exists():
            return
        url = own.url
    try:
        parsed = make_url(url)
    except ArgumentError:
        advice = "expected for example postgresql+psycopg://USER@HOST/DATABASE"
        yield Finding("storage", f"{url!r} is no database URL", "problem", advice)
        return
    shown = parsed.render_as_string(hide_password=True)
    try:
        fact = _answer(parsed)
    except ImportError as error:
        advice = 'pip install "mil-bench[postgres]"'
        yield Finding("storage", f"{shown}: no driver ({error})", "problem", advice)
    except SQLAlchemyError as error:
        cause = " ".join(str(error.__cause__ or error).split())
        advice = "check that the server runs, and host, user, password and database of the URL"
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
