"""Pseudo-bags and the two tiers of DTFD-MIL."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from narrow_methods import make

from mil_bench.base.taxonomy import LEAF
from mil_bench.checks.method.samples import flat, make_batch
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.dtfd import PseudoBags, fixed_permutation, strongest

THREE = flat(3)


def test_every_instance_is_dealt_once_as_array_split_does():
    permutations = [torch.randperm(n) for n in (11, 4, 2)]
    pseudo = PseudoBags.deal(permutations, groups=4)
    assert pseudo.counts == (4, 4, 2)
    start, groups = 0, []
    for one, count in zip(permutations, pseudo.counts, strict=True):
        groups += [part + start for part in np.array_split(one.numpy(), count)]
        start += len(one)
    assert pseudo.sizes == tuple(len(group) for group in groups)
    np.testing.assert_array_equal(pseudo.order, np.concatenate(groups))


def test_training_shuffles_and_evaluation_does_not():
    batch = make_batch((12,), (1,), THREE)
    method = make("dtfd", THREE)
    method.train()
    assert not torch.equal(method(batch).logits[LEAF], method(batch).logits[LEAF])
    method.eval()
    assert torch.equal(method(batch).logits[LEAF], method(batch).logits[LEAF])


@pytest.mark.parametrize("distill", ["afs", "maxs", "maxmins"])
def test_the_second_tier_does_not_train_the_first(distill):
    batch = make_batch((9, 3), (1, 2), THREE)
    method = make("dtfd", THREE, distill=distill)
    method.loss(method(batch), batch, 0.0)["tier2"].backward()
    assert all(p.grad.abs().sum() > 0 for p in method.second.parameters())
    for part in (method.project, method.first):
        assert all(p.grad is None for p in part.parameters())


@pytest.mark.parametrize("distill", ["maxs", "maxmins"])
def test_selected_instances_score_a_slide_alone_as_in_a_batch(distill):
    batch = make_batch((9, 1, 3, 30), (1, 2, 0, 1), THREE)
    method = make("dtfd", THREE, distill=distill, instances=12).eval()
    alone = torch.cat([method(bag).logits[LEAF] for bag in batch.bags()])
    torch.testing.assert_close(method(batch).logits[LEAF], alone)


@pytest.mark.parametrize("distill", ["afs", "maxs", "maxmins"])
def test_the_attention_of_a_slide_rebuilds_what_its_second_tier_pooled(distill):
    batch = make_batch((9, 3), (1, 2), THREE)
    method = make("dtfd", THREE, distill=distill).eval()
    output = method(batch)
    h = method.project(batch.features)
    weights = output.attention[LEAF].split([9, 3])
    pooled = torch.stack(
        [(w * rows).sum(0) for w, rows in zip(weights, h.split([9, 3]), strict=True)]
    )
    torch.testing.assert_close(method.second.classifier(pooled), output.logits[LEAF])


def test_the_strongest_and_the_weakest_are_found_with_small_bags_given_whole():
    evidence = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.7, 0.2])[:, None]
    bags = BagBatch.of_rows(evidence, (5, 1))
    assert strongest(evidence, bags, 2, tails=False)[0].tolist() == [1, 4, 5]
    rows, counts = strongest(evidence, bags, 2, tails=True)
    assert rows.tolist() == [1, 4, 0, 2, 5, 5]
    assert counts == (4, 2)


def test_evidence_is_of_the_last_class_with_two_and_of_the_predicted_one_with_more():
    pseudo = PseudoBags.deal([fixed_permutation(7)], 2)
    for classes in (2, 4):
        taxonomy = flat(classes)
        method = make("dtfd", taxonomy, groups=2).eval()
        bags, first = method.first_tier(make_batch((7,), (0,), taxonomy), pseudo)
        attended = first.attention * bags.features
        p = (attended @ method.first.classifier.weight.T).softmax(1)
        chosen = [1, 1] if classes == 2 else first.logits.argmax(1).tolist()
        expected = torch.cat([p[:4, chosen[0]], p[4:, chosen[1]]])
        torch.testing.assert_close(method.evidence(bags, first)[:, 0], expected)
