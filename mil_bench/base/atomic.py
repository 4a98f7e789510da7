"""Files that are either the old or the new version, never half of one, even after a power cut."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes ``path``'s place durably.

    On an error the temporary file is removed and ``path`` stays unchanged.
    """
    # In the same folder, because a rename is atomic only within one file system.
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        yield temporary
        # The bytes must reach the disk before the name does: after a power cut the new name could
        # otherwise point to an empty file. The folder is synced so that the new name lasts, too.
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``path`` in one atomic step."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to ``path`` in one atomic step."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON to ``path`` in one atomic step; NaN is an error, not invalid JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
