"""How every benchmark is started from the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

import typer

from mil_bench.base.errors import MilBenchError, UnknownNameError
from mil_bench.cli.parser import names


def run(function: Callable[..., Any]) -> None:
    """Run ``function`` with the words of the command line; a user's error is one sentence."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    try:
        app()
    except MilBenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def chosen(kind: str, text: str, known: Collection[str]) -> list[str]:
    """The names in ``"a,b"``. Raises ``UnknownNameError`` for one that is not ``known``."""
    found = names(f"--{kind}", text)
    for name in found:
        if name not in known:
            raise UnknownNameError(kind, name, known)
    return found
