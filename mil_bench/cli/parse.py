"""Small grammars of the command line: lists of names and numbers, ``KEY=VALUE`` pairs."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.errors import UsageError


def names(option: str, text: str) -> list[str]:
    """``"a,b"`` -> ``["a", "b"]``, each once, in order."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise UsageError(f"{option} {text!r} names nothing; expected names such as abmil,hmil.")
    return found


def numbers(option: str, text: str) -> list[int]:
    """``"0,2"`` -> ``[0, 2]``; every number must be a non-negative integer."""
    parts = names(option, text)
    bad = [part for part in parts if not part.isdecimal()]
    if bad:
        raise UsageError(f"{option} has {bad[0]!r}; expected whole numbers such as 0,1,2.")
    return [int(part) for part in parts]


def settings(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
    """``["lr=1e-4"]`` -> ``{"lr": "1e-4"}``."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise UsageError(f"{option} {pair!r} is not KEY=VALUE, such as lr=1e-4 or time=60.")
        if key in found:
            raise UsageError(f"{option} names {key!r} twice; give it once.")
        found[key] = value
    return found
