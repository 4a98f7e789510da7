"""Hierarchical heads: hand-computed losses, levels that agree, gradients, and flat as it was."""

from __future__ import annotations

import math

import pytest
import torch
from narrow_methods import make
from run_folders import make_spec

from mil_bench.base.config import build, search_space
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.checks.method.samples import flat, make_batch, three_levels
from mil_bench.contract.variants import labels
from mil_bench.methods import METHODS
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.heads import Conditional, Flat, Marginal, Multi, SoftLabels
from mil_bench.tuning.space import make_space

TREE = Taxonomy.from_tree("three", {"a": ["a0", "a1"], "b": ["b0"]})
UNEVEN = Taxonomy.from_tree("uneven", {"a": {"m": ["a0", "a1"], "n": ["a2"]}, "b": ["b0"]})
HEADED = [
    entry.name
    for entry in METHODS
    if entry.origin == "mil-bench" and issubclass(METHODS.get(entry.name), HeadedMethod)
]
SIZES = (1, 2, 5, 12, 3)
WORDS = ["multi", "conditional", "marginal", "soft-labels"]


def targets(taxonomy: Taxonomy, leaves: list[int]) -> dict[str, torch.Tensor]:
    return {
        level: torch.from_numpy(taxonomy.ancestor_index(level)[leaves]) for level in taxonomy.levels
    }


def logs(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities], dtype=torch.float64).log()


def test_the_multi_head_adds_the_cross_entropies_of_all_levels():
    head = Multi(TREE)
    assert head.outputs == 5
    logits = head(torch.cat([logs(0.3, 0.7), logs(0.5, 0.2, 0.3)], 1))
    terms = head.loss(logits, targets(TREE, [1]), {})
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"ce_coarse": -math.log(0.3), "ce_leaf": -math.log(0.2)}
    )


def test_the_marginal_head_trains_the_sum_of_leaf_probabilities():
    head = Marginal(TREE)
    logits = head(logs(0.5, 0.2, 0.3) + 7)
    torch.testing.assert_close(logits[COARSE].softmax(1), logs(0.7, 0.3).exp())
    terms = head.loss(logits, targets(TREE, [1]), {})
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"ce_coarse": -math.log(0.7), "ce_leaf": -math.log(0.2)}
    )


def test_the_conditional_head_multiplies_the_softmaxes_of_siblings():
    head = Conditional(TREE, alpha=0.5)
    assert head.nodes == [("a",), ("b",), ("a", "a0"), ("a", "a1")]  # b0 is certain under b
    logits = head(torch.cat([logs(0.6, 0.4), logs(0.25, 0.75) + 3], 1))
    torch.testing.assert_close(logits[COARSE].exp(), logs(0.6, 0.4).exp())
    torch.testing.assert_close(logits[LEAF].exp(), logs(0.15, 0.45, 0.4).exp())
    (loss,) = head.loss(logits, targets(TREE, [0]), {}).values()
    assert loss.item() == pytest.approx(-math.log(0.6) - math.exp(-0.5) * math.log(0.25))
    (single,) = head.loss(logits, targets(TREE, [2]), {}).values()
    assert single.item() == pytest.approx(-math.log(0.4))


def test_the_weight_of_a_level_falls_with_its_distance_from_the_root():
    head = Conditional(UNEVEN, alpha=0.5)
    top, middle, bottom = logs(0.9, 0.1), logs(0.2, 0.8), logs(0.7, 0.3)
    assert head.nodes[2:] == [("a", "m"), ("a", "n"), ("a", "m", "a0"), ("a", "m", "a1")]
    logits = head(torch.cat([top, middle + 5, bottom - 2], 1))
    torch.testing.assert_close(logits[LEAF].exp(), logs(0.126, 0.054, 0.72, 0.1).exp())
    for leaf, path in enumerate(([0.9, 0.2, 0.7], [0.9, 0.2, 0.3], [0.9, 0.8], [0.1])):
        (loss,) = head.loss(logits, targets(UNEVEN, [leaf]), {}).values()
        expected = -sum(math.exp(-0.5 * depth) * math.log(p) for depth, p in enumerate(path))
        assert loss.item() == pytest.approx(expected)


def test_what_belongs_to_a_head_is_searched_with_that_head_alone():
    assert search_space(METHODS.get("abmil").Config)["hxe_alpha"].where == {"head": "conditional"}
    for word, own in (
        ("flat", set()),
        ("conditional", {"hxe_alpha"}),
        ("soft-labels", {"soft_beta"}),
    ):
        for name in ("abmil", "transmil"):
            config = METHODS.get(name).Config
            stored = build(config, {"head": word}, name).model_dump(mode="json")
            space = make_space(METHODS.get(name), make_spec(name, config=stored), [])
            assert {field.name for field in space.fields} & {"hxe_alpha", "soft_beta"} == own


def test_a_search_of_nothing_but_the_field_of_another_head_is_refused_in_one_sentence():
    start = make_spec("transmil", config=METHODS.get("transmil").Config().model_dump(mode="json"))
    with pytest.raises(ConfigError, match="transmil uses it only if head=soft-labels; set"):
        make_space(METHODS.get("transmil"), start, [], only=["soft_beta"])


def test_without_discount_the_conditional_loss_is_the_cross_entropy_of_the_leaf():
    torch.manual_seed(0)
    for tree in (TREE, UNEVEN, three_levels(9)):
        head = Conditional(tree, alpha=0.0)
        logits = head(torch.randn(6, head.outputs, dtype=torch.float64))
        truth = targets(tree, [0, 1, 2, 0, 1, 2])
        (loss,) = head.loss(logits, truth, {}).values()
        expected = torch.nn.functional.cross_entropy(logits[LEAF], truth[LEAF])
        torch.testing.assert_close(loss, expected)


def test_soft_labels_fall_with_the_height_of_the_common_ancestor():
    head = SoftLabels(TREE, beta=2.0)
    near, far = math.exp(-1), math.exp(-2)  # heights 1 and 2 of 2
    whole = 1 + near + far
    torch.testing.assert_close(head.targets[0], torch.tensor([1, near, far]).double() / whole)
    (loss,) = head.loss(head(logs(0.5, 0.2, 0.3)), targets(TREE, [0]), {}).values()
    expected = -(math.log(0.5) + near * math.log(0.2) + far * math.log(0.3)) / whole
    assert loss.item() == pytest.approx(expected)


def test_a_large_beta_makes_soft_labels_those_of_the_flat_head():
    scores, truth = torch.randn(4, 3, dtype=torch.float64), targets(TREE, [0, 1, 2, 1])
    weights = {LEAF: torch.tensor([0.5, 2.0, 1.0])}
    soft = SoftLabels(TREE, beta=500.0).loss({LEAF: scores}, truth, weights)["ce_soft"]
    torch.testing.assert_close(soft, Flat(TREE).loss({LEAF: scores}, truth, weights)["ce"])


@pytest.mark.parametrize("tree", [TREE, UNEVEN, three_levels(9)], ids=lambda t: t.name)
@pytest.mark.parametrize("kind", [Marginal, lambda tree: Conditional(tree, 0.5)])
def test_levels_of_these_heads_agree_at_any_depth(kind, tree):
    torch.manual_seed(0)
    head = kind(tree)
    logits = head(5 * torch.randn(7, head.outputs, dtype=torch.float64))
    leaf = logits[LEAF].softmax(1)
    for level in tree.levels:
        summed = leaf @ torch.from_numpy(tree.membership(level))
        torch.testing.assert_close(logits[level].softmax(1), summed)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", HEADED)
def test_with_every_head_all_parameters_learn_and_a_bag_alone_is_as_in_a_batch(name, word):
    tree = three_levels(5)
    batch, method = make_batch(SIZES, range(5), tree), make(name, tree, head=word)
    terms = method.loss(method(batch), batch, 0.5)
    sum(terms.values()).backward()
    for key, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.abs().sum() > 0 or "classifier" not in key, key
    together = method.eval()(batch)
    assert list(together.logits) in (list(tree.levels), [LEAF])
    alone = [method(bag).logits for bag in batch.bags()]
    for level, logits in together.logits.items():
        assert logits.shape == (len(SIZES), len(tree.classes[level]))
        torch.testing.assert_close(torch.cat([one[level] for one in alone]), logits)


@pytest.mark.parametrize("word", WORDS)
def test_class_wise_attention_has_a_branch_for_what_the_head_reads(word):
    tree = UNEVEN
    batch = make_batch((6, 3), (0, 3), tree)
    attention = make("clam-mb", tree, head=word)(batch).attention
    expected = {"multi": {COARSE: 2, "level2": 3, LEAF: 4}, "conditional": None}.get(
        word, {LEAF: 4}
    )
    sizes = {level: weights.shape[1] for level, weights in attention.items()}
    assert sizes == (expected or {COARSE: 2, "level2": 3, LEAF: 4})
    if word == "conditional":  # b0 is the only class under b: one branch speaks for both
        assert torch.equal(attention[COARSE][:, 1], attention[LEAF][:, 3])
        assert torch.equal(attention["level2"][:, 1], attention[LEAF][:, 2])


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["abmil", "transmil"])
def test_a_hierarchical_head_refuses_a_flat_tree(name, word):
    with pytest.raises(
        ConfigError, match=f"head={word} requires a label tree of two or more levels"
    ):
        make(name, flat(3), head=word)


@pytest.mark.parametrize("name", HEADED)
def test_the_flat_head_leaves_no_trace_in_weights_and_stored_settings(name):
    method = make(name, TREE)
    assert not [key for key in method.state_dict() if key.startswith("decision")]
    stored = METHODS.get(name).Config().model_dump(mode="json")
    assert set(stored) & set(HeadConfig.model_fields) <= {"head"}
    assert stored.get("head", "softmax") == "softmax"  # abmil had such a setting before


def test_stored_settings_of_a_head_are_read_back():
    config = build(METHODS.get("transmil").Config, {"head": "multi", "soft_beta": "9"}, "transmil")
    stored = config.model_dump(mode="json")
    assert (stored["head"], stored["soft_beta"]) == ("multi", 9.0)
    assert "hxe_alpha" not in stored
    assert build(METHODS.get("transmil").Config, stored, "transmil") == config


def test_flat_is_the_softmax_of_abmil_and_has_its_key():
    config = METHODS.get("abmil").Config
    assert build(config, {"head": "flat"}, "abmil") == config()
    keys = {
        make_spec("abmil", config=build(config, settings, "abmil").model_dump(mode="json")).key
        for settings in ({}, {"head": "flat"}, {"head": "multi"})
    }
    assert len(keys) == 2


def test_what_one_variant_lacks_goes_without_saying_there():
    assert labels([{"a": "1"}, {"a": "1", "head": "multi"}, {"a": "1", "head": "marginal"}]) == [
        "",
        "head=multi",
        "head=marginal",
    ]
