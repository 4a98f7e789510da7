"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of small real data and golden vectors beside the project, or a skip."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder} (real data and golden vectors), which is absent")
    return folder


@pytest.fixture(scope="session")
def real_list(shared: Path) -> Callable[[str], Path]:
    """The folder of the published lists of a dataset, or a skip."""

    def find(name: str) -> Path:
        folder = shared / "data" / "labels" / name
        if not folder.is_dir():
            pytest.skip(f"needs the published lists in {folder}, which are absent")
        return folder

    return find
