"""HMIL's supervised contrastive loss at its edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mil_bench.methods.hmil.losses import released_supcon, supcon


def unit_vectors(n, views, dim=5):
    generator = torch.Generator().manual_seed(n * 10 + views)
    x = torch.randn(n, views, dim, generator=generator, dtype=torch.float64)
    return F.normalize(x, dim=-1).requires_grad_()


@pytest.mark.parametrize("loss", [supcon, released_supcon])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_labels_that_occur_once_contribute_nothing_and_no_nan(loss, n):
    features = unit_vectors(n, 1)
    value = loss(features, torch.arange(n), 0.1)
    (gradient,) = torch.autograd.grad(value, features)
    assert value.item() == 0
    assert not gradient.any()


def test_a_pair_and_a_single_give_the_value_worked_out_by_hand():
    features = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[-1.0, 0.0]]])
    # Anchors 0 and 1 are positives of each other (cosine 0); 2 has none and counts in the mean.
    anchor0 = -math.log(1 / (1 + math.exp(-1 / 0.5)))
    anchor1 = -math.log(1 / 2)
    value = supcon(features, torch.tensor([0, 0, 1]), 0.5)
    assert value.item() == pytest.approx((anchor0 + anchor1) / 3, rel=1e-6)


def test_views_of_a_single_bag_attract_each_other():
    assert supcon(unit_vectors(1, 3), torch.tensor([4]), 0.1).item() > 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=8), st.integers(1, 3), st.randoms())
def test_order_of_bags_and_names_of_labels_do_not_matter(labels, views, random):
    features, y = unit_vectors(len(labels), views), torch.tensor(labels)
    order = list(range(len(labels)))
    random.shuffle(order)
    value = supcon(features, y, 0.2).item()
    assert math.isfinite(value)
    assert value >= 0
    assert supcon(features[order], 7 - y[order], 0.2).item() == pytest.approx(value, rel=1e-9)


def test_the_stabiliser_of_the_released_code_punishes_the_only_possible_neighbour():
    # Two opposite bags of one class, tau = 0.1: the softmax over the other bag is 1, its logarithm
    # 0. The released code adds 1e-6 to e^-20, the term relative to the anchor itself.
    features = torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]], dtype=torch.float64)
    labels = torch.tensor([0, 0])
    assert supcon(features, labels, 0.1).item() == pytest.approx(0)
    distortion = 20 + math.log(math.exp(-20) + 1e-6)
    assert released_supcon(features, labels, 0.1).item() == pytest.approx(distortion, rel=1e-5)
