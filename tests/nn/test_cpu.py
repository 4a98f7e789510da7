"""Settings of the process: float32 products stay float32."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mil_bench.nn import precision as backend
from mil_bench.nn import precision as processor

PRODUCT = """
import torch
from mil_bench.nn.precision import prepare_cpu
prepare_cpu(1024)
torch.manual_seed(0)
a, b = torch.randn(700, 900), torch.randn(900, 300)
exact = a.double() @ b.double()
print(((a @ b - exact).norm() / exact.norm()).item())
"""


def test_products_after_the_choice_have_the_error_of_float32():
    out = subprocess.run(
        [sys.executable, "-c", PRODUCT], capture_output=True, text=True, check=True
    )
    assert float(out.stdout) < 2e-6


def test_a_processor_that_would_round_to_bfloat16_keeps_the_default(monkeypatch):
    chosen = []
    monkeypatch.setattr(backend, "is_amd", lambda: True)
    monkeypatch.setattr(backend, "_products_are_float32", lambda: False)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", chosen.append)
    backend.prepare_cpu(1024)
    assert chosen == ["highest", "medium", "highest"]


@pytest.mark.parametrize(("amd", "dim"), [(False, 1024), (True, 64)])
def test_other_makers_and_narrow_features_keep_the_default(monkeypatch, amd, dim):
    chosen = []
    monkeypatch.setattr(backend, "is_amd", lambda: amd)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", chosen.append)
    backend.prepare_cpu(dim)
    assert chosen == ["highest"]


@pytest.mark.parametrize(
    ("text", "amd", "bf16"),
    [
        ("vendor_id : AuthenticAMD\nflags : fpu avx512_bf16\n\nvendor_id : Other", True, True),
        ("vendor_id : GenuineIntel\nflags : fpu avx2", False, False),
        ("CPU implementer : 0x41\nFeatures : fp asimd bf16", False, True),
    ],
)
def test_the_processor_is_read_from_the_system(tmp_path, monkeypatch, text, amd, bf16):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor.platform, "processor", lambda: "")
    processor.cpuinfo.cache_clear()
    try:
        assert (processor.is_amd(), processor.multiplies_bf16()) == (amd, bf16)
    finally:
        processor.cpuinfo.cache_clear()
