"""File and line of a contributor's code, for messages."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from traceback import extract_tb
from types import FunctionType

_OURS = Path(__file__).parents[1]
_LIBRARY, _PACKAGES = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")
_SCRIPTS = sysconfig.get_path("scripts")
CONTRIBUTED: set[str] = set()
"""Installed packages that contribute methods or datasets, as registries find them."""


def place_of(error: BaseException) -> str:
    """Return ``mine.py, line 12``, the last line of contributed code in a traceback, or ``""``."""
    if isinstance(error, SyntaxError) and error.filename:
        return _place(error.filename, error.lineno)
    # Frames of contributed code only.
    frames = [f for f in extract_tb(error.__traceback__) if not _of_harness(f.filename)]
    return _place(frames[-1].filename, frames[-1].lineno) if frames else ""


def exits_by_itself(error: SystemExit) -> bool:
    """Return whether contributed code called ``sys.exit()``, and not the handler of a signal."""
    frames = extract_tb(error.__traceback__)
    return bool(frames) and not _of_harness(frames[-1].filename)


def defined_at(thing: type | FunctionType) -> str:
    """Return ``mine.py, line 9``, where a function or a class begins."""
    if isinstance(thing, FunctionType):
        return _place(thing.__code__.co_filename, thing.__code__.co_firstlineno)
    from inspect import getsourcefile, getsourcelines  # slow to import; help needs no places

    try:
        return _place(getsourcefile(thing) or thing.__module__, getsourcelines(thing)[1])
    except (OSError, TypeError):
        return getattr(thing, "__module__", "?")


def _place(file: str, line: int | None) -> str:
    return f"{Path(file).name}, line {line}"


def _of_harness(file: str) -> bool:
    """Whether a file belongs to mil-bench, a library or Python, and not to a contributor."""
    path = Path(file)
    if path.is_relative_to(_OURS) or file.startswith("<"):  # "<string>" and the like
        return True
    if path.is_relative_to(_PACKAGES):
        return Path(path.relative_to(_PACKAGES).parts[0]).stem not in CONTRIBUTED
    return path.is_relative_to(_LIBRARY) or path.is_relative_to(_SCRIPTS)
