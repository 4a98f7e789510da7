"""HMIL's alignment losses on cases worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mil_bench.methods.hmil.losses import (
    bag_alignment_scores,
    instance_alignment,
    summed_log_probabilities,
)

# Leaves 0 and 1 are children of class 0, leaf 2 of class 1.
MEMBERSHIP = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
OFFSETS = torch.tensor([0, 2, 3])  # a bag of two instances, a bag of one
UPPER = torch.tensor([[1.0, 0.5], [0.0, 0.5], [1.0, 1.0]])
LOWER = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
# Children summed: bag 0 [[1, 1], [1, 0]], bag 1 [[2, 1]].


def test_attention_maps_are_compared_over_the_instances_of_each_bag():
    # Bag 0: class 0 (1,0).(1,1) -> 1/sqrt 2, class 1 (.5,.5).(1,0) -> 1/sqrt 2. Bag 1: 1 and 1.
    expected = (2 * (1 - math.sqrt(0.5)) + 0 + 0) / 4
    loss = instance_alignment(UPPER, LOWER, MEMBERSHIP, OFFSETS, "instances")
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_class_profiles_are_compared_within_each_instance():
    # Bag 0: (1,.5).(1,1) -> 1.5/sqrt(1.25*2); (0,.5).(1,0) -> 0. Bag 1: (1,1).(2,1) -> 3/sqrt 10.
    bag0 = ((1 - 1.5 / math.sqrt(2.5)) + 1) / 2
    bag1 = 1 - 3 / math.sqrt(10)
    loss = instance_alignment(UPPER, LOWER, MEMBERSHIP, OFFSETS, "classes")
    assert loss.item() == pytest.approx((bag0 + bag1) / 2, rel=1e-6)


def test_equal_attention_maps_cost_nothing():
    loss = instance_alignment(LOWER @ MEMBERSHIP, LOWER, MEMBERSHIP, OFFSETS, "instances")
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_probabilities_of_children_are_summed_even_when_they_underflow():
    logits = torch.tensor([[0.0, math.log(2.0), 0.0], [-300.0, -300.0, 0.0]])
    log_p = summed_log_probabilities(logits, MEMBERSHIP)
    assert log_p[0].tolist() == pytest.approx([math.log(0.75), math.log(0.25)], rel=1e-5)
    assert log_p[1].tolist() == pytest.approx([math.log(2.0) - 300, 0.0], rel=1e-5)


def test_the_released_bag_alignment_has_a_floor_of_0_551_for_three_classes():
    membership = torch.eye(3)
    certain = torch.tensor([[1000.0, 0.0, 0.0]])
    target = torch.tensor([0])
    scores = bag_alignment_scores(certain, membership, "double_softmax")
    assert torch.nn.functional.cross_entropy(scores, target).item() == pytest.approx(0.5514, 1e-3)
    scores = bag_alignment_scores(certain, membership, "nll")
    assert torch.nn.functional.cross_entropy(scores, target).item() == pytest.approx(0, abs=1e-6)
