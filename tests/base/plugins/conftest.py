"""Fixtures of tests with plug-ins."""

from __future__ import annotations

import sys

import pytest

from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS


@pytest.fixture(autouse=True)
def registries_as_before(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for registry in (METHODS, DATASETS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("mil_bench_plugin_"):
            del sys.modules[name]
