"""Markdown of docstrings, values and tables."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence


def of_docstring(doc: str | None) -> str:
    """A docstring without its roles and double quotes; names set out in a column become a list."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(doc or ""))
    return re.sub(r"^(`[^`]+`) {2,}", r"- \1: ", text.replace("``", "`"), flags=re.MULTILINE)


def of_value(value: object) -> str:
    """A value as ``--set`` takes it."""
    return (
        value if isinstance(value, str) else json.dumps(value, default=str).replace("null", "none")
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; none where there are no rows."""
    if not rows:
        return []
    ruled = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in ruled]
