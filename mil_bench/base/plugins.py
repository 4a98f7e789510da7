"""Plug-ins, files that register methods or datasets: ``--plugin FILE.py``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from mil_bench.base.errors import MilBenchError, UsageError
from mil_bench.base.registry import PLUGIN, Registry


def load_plugins(paths: Sequence[Path]) -> None:
    """Import each file once. Raises ``UsageError`` when one is missing or fails to import.

    A file that registers nothing causes a warning only, because the command may not depend on it.
    """
    for path in paths:
        name = module_name(path)
        if name in sys.modules:
            continue
        before = Registry.insertions
        _load(path, name)
        if Registry.insertions == before:
            print(
                f"warning: plug-in {path} registers nothing; put @METHODS.register('my-mil') above "
                "a class (docs/add-a-method.md).",
                file=sys.stderr,
            )


def _load(path: Path, name: str) -> None:
    resolved = path.resolve()
    if not resolved.is_file():
        what = "is a folder" if resolved.is_dir() else "does not exist"
        raise UsageError(f"plug-in {path} {what}; expected a Python file.")
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise UsageError(f"plug-in {path} is not a Python file; expected a name ending in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        from mil_bench.base.error_location import place_of

        del sys.modules[name]
        where = place_of(error)
        raise UsageError(
            f"plug-in {path}{where and f' ({where})'}: {_description(error)}"
        ) from error


def _description(error: Exception | SystemExit) -> str:
    if isinstance(error, MilBenchError):
        return str(error)
    if isinstance(error, SystemExit):
        return 'it ends the process; put that under `if __name__ == "__main__":`.'
    what = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
    return f"{type(error).__name__}: {what}; correct it."


def module_name(path: Path) -> str:
    """Return the module name of a plug-in, which depends on its folder as well as on its name."""
    resolved = path.resolve()
    digest = sha256(str(resolved).encode()).hexdigest()[:8]
    return f"{PLUGIN}{resolved.stem}_{digest}"
