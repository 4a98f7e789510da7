"""The syntax of ``--search``: ``lr=1e-5:1e-3:log`` is a range, ``width=128,256`` are choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mil_bench.base.errors import UsageError

EXPECTED = "expected a range such as lr=1e-5:1e-3:log or choices such as width=128,256"


@dataclass(frozen=True)
class SearchOption:
    """One ``--search``: a range, or choices as they were typed."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()


def search_options(texts: Sequence[str]) -> list[SearchOption]:
    """Read every ``--search``. Raises ``UsageError`` for an empty range or a repeated name."""
    options = [_read(text) for text in texts]
    names = [option.name for option in options]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--search names {name!r} twice; name it once.")
    return options


def _read(text: str) -> SearchOption:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise UsageError(f"--search {text!r} is empty; {EXPECTED}.")
    if ":" in value:
        return _range(name, value)
    # Typed twice, tried once.
    choices = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    if len(choices) < 2:
        raise UsageError(
            f"--search {text!r} leaves no choice; {EXPECTED}, or fix the field with --set {text}."
        )
    return SearchOption(name, choices=choices)


def _range(name: str, value: str) -> SearchOption:
    low, high, *scale = value.split(":")
    if scale not in ([], ["log"], ["linear"]):
        raise UsageError(
            f"--search {name}={value}: {':'.join(scale)!r} is not a scale; {EXPECTED}."
        )
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if not all(map(math.isfinite, ends)):
        raise UsageError(f"--search {name}={value} lacks two numbers; {EXPECTED}.")
    if ends[0] >= ends[1]:
        raise UsageError(
            f"--search {name}={value} is an empty range; the first number must be the smaller one."
        )
    if scale == ["log"] and ends[0] <= 0:
        raise UsageError(f"--search {name}={value}: a log scale starts above zero.")
    return SearchOption(name, *ends, log=scale == ["log"])
