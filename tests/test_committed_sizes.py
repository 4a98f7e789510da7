"""No committed file is large: what can be written again from bundles is not committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST = 1_500_000


def test_no_tracked_file_is_larger_than_one_and_a_half_megabytes():
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a checkout of git")
    names = [name for name in listing.stdout.split("\0") if name]
    assert len(names) > 500
    sizes = {name: (ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()}
    assert {name: size for name, size in sizes.items() if size > MOST} == {}
