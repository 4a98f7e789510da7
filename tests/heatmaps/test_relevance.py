"""Which maps a method has, and how they are called."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import percentileofscore

from mil_bench.base.errors import RunError, UnknownNameError
from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Method, MethodConfig, Output
from mil_bench.heatmaps.patch_scores import ALL, percentile_ranks, score_maps, select
from mil_bench.methods import METHODS

TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})
A = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.75, 0.75]])


class Fixed(Method):
    """Attention as given."""

    def __init__(self, attention, tree=TREE):
        super().__init__(MethodConfig(), 2, tree)
        self.attention = attention
        self.eval()

    def forward(self, batch):
        logits = batch.features.sum().expand(1, len(self.taxonomy.leaves))
        return Output({LEAF: logits}, self.attention)


def maps(attention, by="auto"):
    return score_maps(Fixed(attention), BagBatch.pack([torch.ones(2, 2)]), by)


def test_leaves_without_coarse_attention_are_summed_under_their_parents():
    found = {m.title: m for m in maps({LEAF: A})}
    assert list(found) == ["coarse: low", "coarse: high", "leaf: a", "leaf: b", "leaf: c"]
    np.testing.assert_allclose(found["coarse: low"].values, [0.75, 1.25])
    assert found["coarse: low"].source == "attention of its leaves, summed"
    assert found["leaf: b"].sums_to_one
    assert not found["coarse: low"].sums_to_one


def test_a_level_with_attention_of_its_own_keeps_it():
    found = {m.title: m for m in maps({LEAF: A, COARSE: A[:, :2]})}
    np.testing.assert_allclose(found["coarse: low"].values, [0.5, 0.5])
    assert found["coarse: low"].source == "attention"


def test_one_column_is_for_all_classes_and_branches_are_averaged():
    (one,) = maps({LEAF: A[:, 1:2]})
    assert (one.level, one.name, one.source) == (LEAF, ALL, "attention")
    (mean,) = maps({LEAF: A[:, :2]})
    assert (mean.name, mean.source) == (ALL, "attention, mean of 2 branches")
    np.testing.assert_allclose(mean.values, [0.375, 0.625])


def test_without_attention_the_gradient_steps_in_and_says_so():
    found = maps({})
    assert {m.source for m in found} == {"gradient (change of the log odds)"}
    assert len(found) == 5
    with pytest.raises(RunError, match="Fixed has no attention; use --relevance gradient"):
        maps({}, by="attention")


def test_attention_that_is_the_same_for_all_patches_tells_nothing_and_the_gradient_does():
    even = {LEAF: torch.full((2, 1), 0.5)}
    assert maps(even)[0].source == "gradient (change of the log odds)"
    assert maps(even, by="attention")[0].source == "attention"


def test_occlusion_steps_in_where_the_prediction_has_no_gradient():
    class Cut(Fixed):
        def forward(self, batch):
            return super().forward(replace(batch, features=batch.features.detach()))

    model, bag = Cut({}), BagBatch.pack([torch.ones(2, 2)])
    assert score_maps(model, bag)[0].source == "occlusion (change of the log odds)"
    with pytest.raises(
        RunError, match="prediction of Cut has no gradient; use --relevance occlusion"
    ):
        score_maps(model, bag, "gradient")


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("by", ["auto", "occlusion"])
def test_every_method_has_finite_scores_for_every_patch(method, by):
    cls = METHODS.get(method)
    model = cls(cls.Config(), 6, TREE).eval()
    features = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    xy = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)) * 256
    bag = BagBatch.pack([features], [xy], slide_ids=["s"])
    for one in score_maps(model, bag, by):
        assert one.values.shape == (9,)
        assert np.isfinite(one.values).all()
        assert not one.sums_to_one or np.isclose(one.values.sum(), 1, atol=1e-5)


def test_ranks_are_mean_percentiles_of_scipy():
    values = np.array([0.3, 0.1, 0.3, 0.9])
    expected = [percentileofscore(values, v, "mean") / 100 for v in values]
    np.testing.assert_allclose(percentile_ranks(values), expected)


def test_levels_and_classes_are_chosen_and_wrong_ones_named():
    found = maps({LEAF: A})
    assert [m.title for m in select(found, TREE, "coarse", None)] == ["coarse: low", "coarse: high"]
    assert [m.title for m in select(found, TREE, None, "b")] == ["leaf: b"]
    with pytest.raises(UnknownNameError, match="unknown level 'corse' of tree 't'; did you mean"):
        select(found, TREE, "corse", None)
    with pytest.raises(UnknownNameError, match="unknown class 'hihg' of tree 't'; did you mean"):
        select(found, TREE, None, "hihg")
    with pytest.raises(UnknownNameError, match="unknown class 'a' of tree 't'"):
        select(found, TREE, "coarse", "a")


def test_attention_for_all_classes_stands_for_each_and_a_missing_level_is_named():
    assert [m.name for m in select(maps({LEAF: A[:, 1:2]}), TREE, "coarse", "low")] == [ALL]
    with pytest.raises(RunError, match="there are scores of coarse but none of leaf"):
        select(maps({COARSE: A[:, :2]}), TREE, "leaf", None)
