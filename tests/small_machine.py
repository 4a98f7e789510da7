"""Rates of the machine from products and sums that take no time."""

from __future__ import annotations

from benchmarks import machine


def small_machine(monkeypatch):
    """Measure rates on little data in this test."""
    monkeypatch.setitem(machine.ROWS, "cpu", 16)
    monkeypatch.setitem(machine.STREAM_BYTES, "cpu", 2**16)
