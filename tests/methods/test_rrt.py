"""The regions of RRT-MIL: which rows are together, what padding and position do."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mil_bench.methods.rrt import RegionAttention, by_regions, cut, joined, side_of


@pytest.mark.parametrize(
    ("n", "regions", "side"), [(1, 8, 8), (64, 8, 8), (65, 8, 16), (37, 4, 8), (9, 1, 3)]
)
def test_a_square_is_the_smallest_that_its_regions_divide(n, regions, side):
    assert side_of(n, regions) == side


def test_regions_are_squares_of_the_folded_rows():
    square = torch.arange(16.0).view(1, 16, 1)  # four rows of four
    tiles = cut(square, 2)
    assert tiles[0, :, :, 0].tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]
    assert torch.equal(joined(tiles, 2), square)


def test_bags_keep_to_themselves_and_their_padding_counts():
    x = torch.tensor([[6.0], [9.0], [3.0], [1.0], [2.0], [3.0], [4.0]])
    means = by_regions(lambda tiles: tiles.mean(2, keepdim=True).expand_as(tiles), x, [3, 4], 1)
    assert means.flatten().tolist() == [4.5] * 3 + [2.5] * 4  # three rows and a zero; four rows


def test_position_encoding_is_a_convolution_of_the_logits_along_the_queries():
    torch.manual_seed(0)
    layer, x = RegionAttention(6, 2, 0.0, epeg=3).double(), torch.randn(1, 5, 6).double()
    q, k, v = (part.view(5, 2, 3).transpose(0, 1) for part in layer.qkv(x[0]).chunk(3, 1))
    logits = q @ k.mT / 3**0.5  # (heads, queries, keys)
    moved = F.conv2d(logits[None], layer.epeg.weight, padding=(1, 0), groups=2)[0]
    mixed = (logits + moved + 7).softmax(2) @ v  # a bias would change nothing
    torch.testing.assert_close(layer(x)[0], layer.out(mixed.transpose(0, 1).flatten(1)))
