"""``--plugin FILE.py``: run a file that registers methods or datasets."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from mil_bench.errors import MilBenchError, UsageError
from mil_bench.registry import PLUGIN


def load_plugins(paths: Sequence[Path]) -> None:
    """Import each file once. Raises ``UsageError`` when one is missing or fails to import."""
    for path in paths:
        resolved, name = path.resolve(), module_name(path)
        if name in sys.modules:
            continue
        if not resolved.is_file():
            what = "is a folder" if resolved.is_dir() else "does not exist"
            raise UsageError(f"plugin {path} {what}; expected a Python file.")
        spec = importlib.util.spec_from_file_location(name, resolved)
        if spec is None or spec.loader is None:
            raise UsageError(f"plugin {path} is not a Python file; expected a name ending in .py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            from mil_bench.culprit import place_of

            del sys.modules[name]
            what = str(error) if isinstance(error, MilBenchError) else _told(error)
            raise UsageError(f"plugin {path} ({place_of(error)}): {what}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}; correct it."


def module_name(path: Path) -> str:
    """The name of a plugin's module: files of one name in two folders are two modules."""
    resolved = path.resolve()
    digest = sha256(str(resolved).encode()).hexdigest()[:8]
    return f"{PLUGIN}{resolved.stem}_{digest}"
