"""Kernels: fast forms of formulas in :mod:`mil_bench.nn`, with hand-written backward passes."""
