"""Numbers of agreement by hand; who is compared with whom."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.heatmaps.agreement import Agreement, agreement_figure, agreements, top_tenth
from mil_bench.heatmaps.draw import Scene
from mil_bench.heatmaps.patch_scores import ScoreMap
from mil_bench.heatmaps.patches import by_index

TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})


def a_map(level, name, *values, own=True):
    return ScoreMap(level, name, "attention", own, np.array(values, dtype=float))


def test_cosine_rank_correlation_and_overlap_by_hand():
    own = a_map("coarse", "low", 0.6, 0.3, 0.1)
    one = Agreement(own, ("a", "b"), np.array([0.2, 0.7, 0.1]))
    expected = (0.6 * 0.2 + 0.3 * 0.7 + 0.1 * 0.1) / np.sqrt(0.46 * 0.54)
    assert one.cosine == pytest.approx(expected)
    assert one.cosine == pytest.approx(1 - cosine([0.6, 0.3, 0.1], [0.2, 0.7, 0.1]))
    assert one.spearman == pytest.approx(0.5)  # 1 - 6 (1 + 1 + 0) / (3 * 8)
    assert one.top == 0
    assert Agreement(own, ("a",), own.values).numbers() == {
        "cosine": pytest.approx(1),
        "spearman": pytest.approx(1),
        "top_tenth": 1,
    }


def test_constant_attention_has_no_rank_correlation():
    flat = a_map("coarse", "low", 0.5, 0.5)
    assert Agreement(flat, ("a",), np.array([0.9, 0.1])).numbers()["spearman"] is None


def test_children_are_summed_under_their_own_parent_only():
    maps = [
        a_map("coarse", "low", 0.5, 0.5),
        a_map("coarse", "high", 0.1, 0.9),
        a_map("leaf", "a", 0.2, 0.8),
        a_map("leaf", "b", 0.7, 0.3),
        a_map("leaf", "c", 1.0, 0.0),
    ]
    low, high = agreements(maps, TREE)
    assert (low.children, high.children) == (("a", "b"), ("c",))
    np.testing.assert_allclose(low.summed, [0.9, 1.1])
    np.testing.assert_allclose(high.summed, [1.0, 0.0])
    figure = agreement_figure([low, high], Scene(by_index(2), "of a slide"))
    assert [axis.get_title(loc="left") for axis in figure.axes[:2]] == [
        "coarse: low (own)",
        "sum of a, b",
    ]


def test_a_map_made_of_its_children_is_not_compared_with_them():
    maps = [a_map("coarse", "low", 1, 1, own=False), a_map("leaf", "a", 1), a_map("leaf", "b", 1)]
    assert agreements(maps, TREE) == []


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (4, 1), (20, 2), (57, 6)])
def test_the_top_tenth_is_one_patch_at_least(n, expected):
    chosen = top_tenth(np.arange(n, dtype=float))
    assert chosen.sum() == expected
    assert chosen[-expected:].all()
