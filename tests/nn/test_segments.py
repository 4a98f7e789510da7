"""Operations on packed bags against the same operation bag by bag."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import SIZES, in_roomy_memory, numbers, packed

from mil_bench.contract.batch import STEP, padded_rows, with_padding
from mil_bench.nn.kernels.bags import most_bags
from mil_bench.nn.segment import (
    _by_sorting,
    segment_map,
    segment_matmul,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_topk,
    within,
)


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, branches=st.integers(1, 3), roomy=st.booleans())
def test_weighted_sums_and_their_gradients_are_those_of_every_bag(sizes, branches, roomy):
    batch = packed(sizes, 4)
    weights, direction = numbers(sum(sizes), branches), numbers(len(sizes), branches, 4, seed=3)
    x = batch.features.requires_grad_()
    mine = in_roomy_memory(x) if roomy else x
    got = segment_matmul(weights, mine, batch.segment, batch.sizes)
    parts = zip(torch.split(weights, sizes), torch.split(x, sizes), strict=True)
    expected = torch.stack([w.T @ rows for w, rows in parts])
    torch.testing.assert_close(got, expected)
    found = torch.autograd.grad((got * direction).sum(), (weights, mine))
    wanted = torch.autograd.grad((expected * direction).sum(), (weights, x))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES)
def test_a_map_per_bag_gives_every_row_the_matrix_of_its_bag(sizes):
    batch = packed(sizes, 4)
    matrices = numbers(len(sizes), 4, 3)
    expected = torch.einsum("nd,ndk->nk", batch.features, matrices[batch.segment])
    torch.testing.assert_close(segment_map(batch.features, matrices, batch.sizes), expected)


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES)
def test_reductions_are_those_of_every_bag(sizes):
    batch = packed(sizes, 3)
    x = batch.features
    bags = torch.split(x, sizes)
    torch.testing.assert_close(
        segment_mean(x, batch.offsets), torch.stack([b.mean(0) for b in bags])
    )
    torch.testing.assert_close(
        segment_max(x, batch.offsets), torch.stack([b.amax(0) for b in bags])
    )
    softmax = segment_softmax(x, batch.segment, batch.offsets)
    torch.testing.assert_close(softmax, torch.cat([b.softmax(0) for b in bags]))


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_softmax_passes_gradcheck(sizes):
    batch = packed(sizes, 2)
    scores = batch.features.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: segment_softmax(s, batch.segment, batch.offsets), (scores,)
    )


def test_the_gradient_of_a_float32_softmax_over_a_large_bag_is_that_of_float64():
    batch = packed([8000, 300], 1)
    direction = numbers(8300, 1, seed=5).detach() + 3
    gradients = []
    for dtype in (torch.float32, torch.float64):
        scores = (batch.features / 100).to(dtype).requires_grad_()
        weights = segment_softmax(scores, batch.segment, batch.offsets)
        gradients.append(torch.autograd.grad((weights * direction.to(dtype)).sum(), scores)[0])
    assert (gradients[0] - gradients[1]).norm() < 1e-6 * gradients[1].norm()
    single = segment_softmax(scores[:8000].float(), batch.segment[:8000], batch.offsets[:2])
    assert abs(single.double().sum().item() - 1) < 1e-6


def test_half_precision_scores_have_a_softmax_in_float32():
    batch = packed([5, 3], 2)
    scores = batch.features.bfloat16()
    assert segment_softmax(scores, batch.segment, batch.offsets).dtype == torch.float32


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, k=st.integers(1, 12))
def test_the_best_rows_are_the_same_by_sorting_and_bag_by_bag(sizes, k):
    batch = packed(sizes, 3)
    scores = batch.features
    rows = segment_topk(scores, k, batch.segment, batch.sizes)
    again = _by_sorting(scores, min(k, max(sizes)), batch.segment, batch.sizes)
    assert torch.equal(rows, again)
    counted = within(rows.shape[1], batch.offsets)
    start = 0
    for bag, (mine, real) in enumerate(zip(rows, counted, strict=True)):
        size = sizes[bag]
        order = scores[start : start + size].sort(0, descending=True).values
        n = min(k, size)
        assert real.sum() == n
        for column in range(3):
            chosen = mine[:n, column]
            torch.testing.assert_close(scores[chosen, column], order[:n, column])
            assert (mine[n:, column] == start).all()
        start += size


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES)
def test_the_number_of_bags_in_a_block_is_counted_right(sizes):
    segment = packed(sizes, 1).segment
    assert most_bags(sizes) == max(len(part.unique()) for part in segment.split(STEP))


def test_memory_behind_the_rows_is_found_only_where_it_was_made_for_that():
    x = torch.randn(70, 3)
    assert with_padding(x) is x
    assert with_padding(torch.randn(200, 3)[:70]).shape == (70, 3)
    roomy = in_roomy_memory(x)
    assert with_padding(roomy).shape == (128, 3)
    assert with_padding(roomy)[:70].data_ptr() == roomy.data_ptr()
    assert with_padding(roomy[1:]).shape == (69, 3)


@given(st.integers(1, 100_000))
def test_room_is_a_multiple_of_a_step_and_little_more_than_the_rows(rows):
    assert rows <= padded_rows(rows) < rows + max(STEP, rows / 16 + 1)
    assert padded_rows(rows) % STEP == 0
    assert padded_rows(padded_rows(rows)) == padded_rows(rows)


def test_sizes_of_slides_share_few_rooms():
    assert len({padded_rows(rows) for rows in range(1000, 12_000)}) == 57
