"""MHIM: its masks, its teacher, its consistency loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.mhim import MHIM, Masking, MHIMConfig

TREE = Taxonomy.flat("three", ["a", "b", "c"])


def model(**options):
    torch.manual_seed(0)
    return MHIM(MHIMConfig(width=8, hidden=4, **options), 6, TREE).double()


def batch(*sizes):
    torch.manual_seed(1)
    labels = {LEAF: torch.arange(len(sizes)) % 3}
    return BagBatch.pack([torch.randn(n, 6, dtype=torch.float64) for n in sizes], labels=labels)


share = st.floats(0, 0.99)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 50), high=share, pool=st.floats(0.01, 1), low=share, random=share)
def test_some_instance_is_left_and_as_many_as_said(n, high, pool, low, random):
    masking = Masking(high, pool, low, random)
    kept = masking.kept(torch.rand(n))
    assert len(kept) == masking.n_kept(n) >= 1
    assert kept.unique().tolist() == kept.tolist()
    assert 0 <= kept.min() <= kept.max() < n


def test_easy_instances_are_drawn_from_the_most_attended_and_low_ones_are_the_least():
    attention = torch.arange(20.0)  # the most attended is the last
    masking = Masking(high=0.2, pool=0.5, low=0.25, random=0)
    masked: set[int] = set()
    for seed in range(40):
        torch.manual_seed(seed)
        gone = set(range(20)) - set(masking.kept(attention).tolist())
        assert len(gone) == 4 + 5
        assert {0, 1, 2, 3, 4} <= gone  # the least attended quarter
        masked |= gone - {0, 1, 2, 3, 4}
    assert masked == set(range(12, 20))  # four of the top eight, others every time


def test_the_mask_of_easy_instances_fades_on_half_a_cosine():
    method = model(mask_high=0.4)
    shares = []
    for progress in (0.0, 0.5, 1.0):
        method.before_epoch(progress)
        shares.append(method.masking().high)
    assert shares == pytest.approx([0.4, 0.2, 0.0])


def test_the_teacher_starts_as_the_student_and_follows_it_with_the_said_momentum():
    method = model(momentum=0.95)
    old = [p.clone() for p in method.teacher.parameters()]
    for teacher, student in zip(old, method.student.parameters(), strict=True):
        assert torch.equal(teacher, student)
    with torch.no_grad():
        for p in method.student.parameters():
            p += 1
    kept = 1.0
    for step in range(200):
        method.after_step(0.0)
        kept *= min(0.95, (1 + step) / (10 + step))
        if step == 0:
            now = next(method.teacher.parameters())
            torch.testing.assert_close(now, old[0] + 0.9)  # of ten parts, one is kept
    for before, now in zip(old, method.teacher.parameters(), strict=True):
        torch.testing.assert_close(now, before + 1 - kept)
    assert method.steps == 200


def test_neither_gradients_nor_dropout_reach_the_teacher():
    method, bags = model(dropout=0.5).train(), batch(9, 4)
    assert not method.teacher.training
    assert method.student.training
    sum(method.loss(method(bags), bags, 0.0).values()).backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None for p in method.student.parameters())


def test_without_masks_and_dropout_the_terms_are_those_of_the_student_on_whole_bags():
    method, bags = model(dropout=0, mask_high=0, mask_random=0).train(), batch(9, 4)
    whole = method.student(bags)
    terms = method.loss(method(bags), bags, 0.0)
    torch.testing.assert_close(terms["ce"], method.student.loss(whole, bags, 0.0)["ce"])
    z = whole.extras["bag_features"]  # the teacher is the student still
    soft = -((z / 0.1).softmax(1) * z.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(terms["consistency"], 0.1 * soft)


def test_the_student_sees_the_instances_that_have_attention_and_no_others():
    method, bags = model(dropout=0, mask_random=0.6).train(), batch(30, 1, 7)
    output = method(bags)
    attention = output.attention[LEAF].squeeze(1)
    rows = attention.nonzero().squeeze(1)
    sizes = [method.masking().n_kept(n) for n in (30, 1, 7)]
    assert len(rows) == sum(sizes)
    seen = method.student(bags.take(rows, sizes))
    torch.testing.assert_close(seen.logits[LEAF], output.logits[LEAF])


def test_predictions_are_those_of_the_student_on_whole_bags():
    method, bags = model().eval(), batch(30, 2)
    torch.testing.assert_close(method(bags).logits, method.student(bags).logits)
