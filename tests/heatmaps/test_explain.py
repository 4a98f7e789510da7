"""Gradient and occlusion on models whose answer is known by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method, MethodConfig, Output
from mil_bench.heatmaps.patch_scores import by_gradient, by_occlusion, log_odds
from mil_bench.nn.segment import segment_mean

TWO = Taxonomy.flat("two", ["no", "yes"])
TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c", "d"]})
X = torch.tensor([[1.0, 0.0], [2.0, 1.0], [6.0, -1.0]])


class Linear(Method):
    """Mean of the features, then a linear layer."""

    def __init__(self, weight, tree, heads=()):
        super().__init__(MethodConfig(), 2, tree)
        self.linear = nn.Linear(2, len(weight))
        self.heads = heads
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor(weight))
        self.eval()

    def forward(self, batch):
        logits = self.linear(segment_mean(batch.features, batch.offsets))
        return Output({LEAF: logits, **dict.fromkeys(self.heads, logits[:, :2])})


def test_occlusion_of_a_linear_model_is_its_weight_times_the_distance_from_the_mean():
    # log odds of "yes" are (3, -1) . mean; the mean patch is (3, 0); N = 3
    model = Linear([[0.0, 1.0], [3.0, 0.0]], TWO)
    expected = [(3 * -2 - 0) / 3, (3 * -1 - 1) / 3, (3 * 3 + 1) / 3]
    scores = by_occlusion(model, BagBatch.pack([X], slide_ids=["s"]))[LEAF]
    np.testing.assert_allclose(scores[:, 1], expected, atol=1e-5)
    np.testing.assert_allclose(scores[:, 0], [-e for e in expected], atol=1e-5)


def test_the_gradient_of_a_linear_model_is_its_occlusion():
    model, bag = Linear([[0.0, 1.0], [3.0, 0.0]], TWO), BagBatch.pack([X])
    np.testing.assert_allclose(
        by_gradient(model, bag)[LEAF], by_occlusion(model, bag)[LEAF], atol=1e-5
    )


def test_occlusion_in_parts_is_occlusion_at_once(monkeypatch):
    model = Linear(np.random.default_rng(0).normal(size=(4, 2)).tolist(), TREE)
    whole = by_occlusion(model, BagBatch.pack([X]))
    monkeypatch.setattr("mil_bench.heatmaps.patch_scores.AT_ONCE", 7)  # two copies of three patches
    for level, scores in by_occlusion(model, BagBatch.pack([X])).items():
        np.testing.assert_allclose(scores, whole[level], atol=1e-6)


def test_a_lone_patch_is_the_mean_of_its_bag_and_changes_nothing():
    model = Linear([[0.0, 1.0], [3.0, 0.0]], TWO)
    assert not by_occlusion(model, BagBatch.pack([X[:1]]))[LEAF].any()
    assert not by_gradient(model, BagBatch.pack([X[:1]]))[LEAF].any()


@pytest.mark.parametrize("heads", [(), (COARSE,)])
def test_odds_of_a_level_are_of_its_head_or_of_its_summed_leaves(heads):
    model = Linear(np.random.default_rng(1).normal(size=(4, 2)).tolist(), TREE, heads)
    with torch.no_grad():
        output = model(BagBatch.pack([X, X[:1]]))
        odds = log_odds(output, TREE)
    leaf = torch.softmax(output.logits[LEAF].double(), 1)
    coarse = (
        torch.softmax(output.logits[COARSE].double(), 1)
        if heads
        else torch.stack([leaf[:, :2].sum(1), leaf[:, 2:].sum(1)], 1)
    )
    for level, p in ((LEAF, leaf), (COARSE, coarse)):
        np.testing.assert_allclose(odds[level], (p / (1 - p)).log(), atol=1e-5)


def test_a_level_of_one_class_has_no_odds():
    tree = Taxonomy.from_tree("one", {"all": ["a", "b"]})
    scores = by_gradient(Linear([[0.0, 1.0], [3.0, 0.0]], tree), BagBatch.pack([X]))
    assert list(scores) == [LEAF]
    assert np.isfinite(scores[LEAF]).all()
