"""The best partners of every instance, found block by block."""

from __future__ import annotations

import pytest
import torch

from mil_bench.methods import wikg as nearest
from mil_bench.methods.wikg import best_partners

SIZES = (1, 3, 40, 7)


def embeddings():
    torch.manual_seed(0)
    return torch.randn(2, sum(SIZES), 5, dtype=torch.float64)


@pytest.mark.parametrize("kept", [1, 50, 130, 1 << 24])
@pytest.mark.parametrize("k", [1, 4, 6, 99])
def test_partners_are_the_best_of_the_full_matrix_of_each_bag(monkeypatch, kept, k):
    monkeypatch.setattr(nearest, "KEPT_PRODUCTS", kept)
    queries, keys = embeddings()
    partners, counts = best_partners(queries, keys, k, SIZES)
    assert partners.shape == counts.shape == (sum(SIZES), min(k, 40))
    start = 0
    for size in SIZES:
        rows = slice(start, start + size)
        order = (queries[rows] @ keys[rows].T).argsort(1, descending=True)[:, :k] + start
        here = min(k, size)
        assert torch.equal(partners[rows, :here], order)
        assert counts[rows, :here].all()
        assert not counts[rows, here:].any()
        assert ((partners[rows] >= start) & (partners[rows] < start + size)).all()
        start += size


def test_no_block_of_products_is_larger_than_said(monkeypatch):
    seen = []
    real = torch.Tensor.topk

    def watched(self, *arguments):
        seen.append(self.numel())
        return real(self, *arguments)

    monkeypatch.setattr(nearest, "KEPT_PRODUCTS", 100)
    monkeypatch.setattr(torch.Tensor, "topk", watched)
    best_partners(*embeddings(), 3, SIZES)
    assert max(seen) <= 100
    assert sum(seen) == sum(n * n for n in SIZES)
