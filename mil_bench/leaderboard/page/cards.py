"""What a page says about every method: its paper, how this code differs, its settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mil_bench.config import search_space
from mil_bench.errors import UsageError
from mil_bench.leaderboard.board import Board
from mil_bench.method import Method
from mil_bench.methods import METHODS
from mil_bench.variants import flattened


def cards(boards: Sequence[Board]) -> dict[str, Any]:
    """Method name -> card, for every method of ``boards`` that is installed here."""
    names = dict.fromkeys(row.method for board in boards for row in board.rows)
    found = {name: _installed(name) for name in names}
    return {name: _card(name, method) for name, method in found.items() if method is not None}


def _installed(name: str) -> type[Method] | None:
    """The method, or nothing where it was a plug-in or its package is broken."""
    try:
        return METHODS.get(name)
    except UsageError:
        return None


def _card(name: str, method: type[Method]) -> dict[str, Any]:
    paper, space = method.paper, search_space(method.Config)
    return {
        "summary": next(entry.summary for entry in METHODS if entry.name == name),
        "title": paper.title,
        "year": paper.year,
        "venue": paper.venue,
        "link": paper.link,
        "code": paper.code,
        "differs": paper.differs,
        "measured": "\n".join(paper.measured),
        "version": method.version,
        "settings": flattened(method.Config().model_dump(mode="json")),
        "searched": [key for key, limits in space.items() if not limits.where],
        "recipe": flattened(dict(method.recipe)),
    }
