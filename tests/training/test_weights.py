import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.training.loop import balanced_class_weights

TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})


def test_balanced_weights_equal_a_hand_computed_case_at_both_levels():
    weights = balanced_class_weights(TREE, np.array([0, 0, 0, 1, 2, 2]), torch.device("cpu"))
    assert weights["leaf"].tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert weights["coarse"].tolist() == pytest.approx([6 / 8, 6 / 4])


def test_balanced_weights_equal_scikit_learn():
    leaf = np.random.default_rng(0).choice(3, 200, p=[0.7, 0.2, 0.1])
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=leaf)
    weights = balanced_class_weights(TREE, leaf, torch.device("cpu"))
    np.testing.assert_allclose(weights["leaf"].numpy(), oracle, rtol=1e-6)
    assert weights["leaf"][leaf].mean().item() == pytest.approx(1, rel=1e-5)


def test_a_class_without_training_bags_has_weight_zero():
    weights = balanced_class_weights(TREE, np.array([0, 0, 2]), torch.device("cpu"))
    assert weights["leaf"].tolist() == pytest.approx([3 / 4, 0, 3 / 2])
