from __future__ import annotations

from pathlib import Path

import pytest
from pixel_cohort import write_cohort


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``.toml`` of six slides and their features; tests change neither."""
    return write_cohort(tmp_path_factory.mktemp("pixel-cohort"))
