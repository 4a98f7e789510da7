"""Branches, diversity and masking of ACMIL."""

from __future__ import annotations

import itertools

import pytest
import torch
from narrow_methods import make
from torch.nn import functional as F

from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import LEAF
from mil_bench.checks.method.samples import flat, make_batch
from mil_bench.methods.acmil import MASKED, mask_top, similarity
from mil_bench.nn.segment import segment_softmax

THREE = flat(3)
SIZES = (1, 4, 30)


def test_a_share_of_the_most_attended_instances_of_each_column_is_masked():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    scores = torch.randn(sum(SIZES), 3, dtype=torch.float64)
    drawn = set()
    for _ in range(20):
        masked = mask_top(scores, 10, 0.6, batch)
        for bag, given in zip(masked.split(SIZES), scores.split(SIZES), strict=True):
            hit = bag == MASKED
            assert torch.equal(bag[~hit], given[~hit])
            size = len(bag)
            assert (hit.sum(0) == int(min(10, size) * 0.6)).all()
            for column in range(3):
                top = set(given[:, column].topk(min(10, size)).indices.tolist())
                assert set(hit[:, column].nonzero()[:, 0].tolist()) <= top
        drawn.add(tuple((masked == MASKED).flatten().tolist()))
    assert len(drawn) > 10


def test_evaluation_masks_nothing_and_a_share_of_zero_neither():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    method = make("acmil", THREE, mask_share=0.0)
    trained = method(batch).logits[LEAF]
    torch.testing.assert_close(method.eval()(batch).logits[LEAF], trained)
    masking = make("acmil", THREE)
    assert not torch.equal(masking(batch).logits[LEAF], trained)
    torch.testing.assert_close(masking.eval()(batch).logits[LEAF], trained)


def test_diversity_is_the_mean_cosine_of_pairs_within_heads():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    scores = torch.randn(sum(SIZES), 6, dtype=torch.float64)  # three branches of two heads
    attention = segment_softmax(scores, batch.segment, batch.offsets)
    cosines = [
        F.cosine_similarity(bag[:, 2 * one + head], bag[:, 2 * other + head], dim=0)
        for bag in attention.split(SIZES)
        for one, other in itertools.combinations(range(3), 2)
        for head in range(2)
    ]
    torch.testing.assert_close(similarity(attention, 3, batch), torch.stack(cosines).mean())


def test_the_multi_head_form_scores_a_bag_alone_as_in_a_batch():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    method = make("acmil", THREE, form="multihead").eval()
    together = method(batch).logits[LEAF]
    alone = torch.cat([method(bag).logits[LEAF] for bag in batch.bags()])
    torch.testing.assert_close(together, alone)


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="multiple of heads"):
        make("acmil", THREE, form="multihead", width=12, heads=8)
