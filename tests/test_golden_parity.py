"""Every golden case against our implementation of its method, in float64 and float32.

``MIL_BENCH_GOLDEN`` names the directory of cases; the default is the project's own copy.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest
import torch
from golden_io import Case

DIRECTORY = Path(os.environ.get("MIL_BENCH_GOLDEN", Path(__file__).parent / "golden"))
SIDECARS = sorted(path for path in DIRECTORY.rglob("*.json") if path.with_suffix(".npz").is_file())


def test_there_are_golden_cases():
    assert SIDECARS, f"no golden case under {DIRECTORY}; set MIL_BENCH_GOLDEN to a folder of them"


@pytest.mark.parametrize("sidecar", SIDECARS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_case_matches_the_official_implementation(sidecar):
    method = json.loads(sidecar.read_text())["method"]
    case = Case(sidecar)
    torch.manual_seed(0)
    for dtype in (torch.float64, torch.float32):
        import_module(f"parity.{method}").check(case, dtype)
