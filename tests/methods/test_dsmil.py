"""Outputs, targets and class weights of DSMIL."""

from __future__ import annotations

import torch
from narrow_methods import make
from torch.nn import functional as F

from mil_bench.base.taxonomy import LEAF
from mil_bench.checks.method.samples import flat, make_batch

TWO, THREE = flat(2), flat(3)
SIZES = (4, 1, 9)


def test_a_negative_class_has_no_output_and_two_classes_share_one_sigmoid():
    batch = make_batch(SIZES, (0, 1, 1), TWO)
    method = make("dsmil", TWO, negative_class=True)
    output = method(batch)
    assert output.attention[LEAF].shape == (14, 1)
    bag, top = output.extras["bag"], output.extras["max"]
    torch.testing.assert_close(output.logits[LEAF].softmax(1)[:, 1:], bag.sigmoid())
    target = batch.labels[LEAF].double()[:, None]
    terms = method.loss(output, batch, 0.0)
    for name, logits in (("bag", bag), ("max", top)):
        expected = 0.5 * F.binary_cross_entropy_with_logits(logits, target)
        torch.testing.assert_close(terms[name], expected)


def test_the_instance_stream_is_the_largest_score_of_every_class():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    method = make("dsmil", THREE)
    extras = method(batch).extras
    expected = torch.stack([bag.amax(0) for bag in extras["instance"].split(SIZES)])
    torch.testing.assert_close(extras["max"], expected)


def test_class_weights_multiply_the_losses_of_their_bags():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    method = make("dsmil", THREE)
    alone = [method.loss(method(bag), bag, 0.0)["bag"] for bag in batch.bags()]
    method.set_class_weights({LEAF: torch.tensor([0.5, 1.0, 3.0])})
    weighted = method.loss(method(batch), batch, 0.0)["bag"]
    torch.testing.assert_close(weighted, (0.5 * alone[0] + alone[1] + 3 * alone[2]) / 3)


def test_without_weight_the_instance_stream_has_no_loss():
    batch = make_batch(SIZES, (0, 1, 2), THREE)
    method = make("dsmil", THREE, max_weight=0.0)
    terms = method.loss(method(batch), batch, 0.0)
    assert set(terms) == {"bag"}
    terms["bag"].backward()
    assert method.instance.weight.grad is None
