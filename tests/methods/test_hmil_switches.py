"""HMIL's component switches, tree shapes and batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mil_bench.base.config import build
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.methods.hmil.method import HMIL, Hierarchy

DIM = 8
FLAT = Taxonomy.flat("flat", "abcde")
TWO = Taxonomy.from_parents("two", {"a": "x", "b": "y", "c": "x", "d": "z", "e": "y"})
THREE = Taxonomy.from_tree("three", {"x": {"p": ["a", "b"], "q": ["c"]}, "y": {"r": ["d", "e"]}})
UNEQUAL = Taxonomy("unequal", (("x", "p", "a"), ("x", "p", "b"), ("x", "c"), ("d",), ("y", "e")))
TREES = {tree.name: tree for tree in (FLAT, TWO, THREE, UNEQUAL)}
SWITCHES = HMIL.ablations.switches
PAPER = {"ce_coarse", "ce_leaf", "ia", "ba", "con"}
# The softmax over instances ignores a shift of all scores, the one over classes a shared bias.
INVARIANT = ("attention.score.bias", "classifier.linear.bias")


def make(tree=TWO, switch=None, **options):
    torch.manual_seed(0)
    overrides = SWITCHES[switch].overrides if switch else {}
    return HMIL(HMILConfig(**{**options, **overrides}), DIM, tree).eval()


def batch_of(tree=TWO, labels=(0, 1, 1, 4, 0, 3), sizes=(4, 1, 7, 2, 3, 5), seed=1):
    generator = torch.Generator().manual_seed(seed)
    bags = [torch.randn(n, DIM, generator=generator) for n in sizes]
    leaf = torch.tensor(labels)
    targets = {lv: torch.from_numpy(tree.ancestor_index(lv))[leaf] for lv in tree.levels}
    return BagBatch.pack(bags, labels=targets)


def terms_of(switch=None, progress=0.25, **options):
    model, batch = make(switch=switch, **options), batch_of()
    return {k: v.item() for k, v in model.loss(model(batch), batch, progress).items()}


@pytest.mark.parametrize(
    ("switch", "removed"), [("no_ia", {"ia"}), ("no_ba", {"ba"}), ("no_con", {"con"})]
)
def test_a_switch_removes_its_term_and_leaves_the_others(switch, removed):
    full = terms_of()
    assert set(full) == PAPER
    assert terms_of(switch) == {k: v for k, v in full.items() if k not in removed}


def test_without_a_curriculum_every_moment_weighs_one_half():
    start, end = (terms_of("no_curriculum", progress) for progress in (0.0, 1.0))
    assert start == end
    at_half = terms_of(progress=0.5)
    assert start == pytest.approx(at_half)


def test_without_the_online_embedding_both_branches_read_the_encoder():
    model = make(switch="no_online")
    assert not list(model.net.features.parameters())
    widths = {level: branch.attention.value.in_features for level, branch in _branches(model)}
    assert widths == {"coarse": DIM, "leaf": DIM}
    assert set(terms_of("no_online")) == PAPER


def test_fine_only_keeps_the_leaf_branch_and_the_contrast():
    model, full = make(switch="fine_only"), make()
    assert [level for level, _ in _branches(model)] == ["leaf"]
    assert set(model(batch_of()).logits) == {"leaf"}
    assert set(terms_of("fine_only")) == {"ce_leaf", "con"}
    shapes = {k: v.shape for k, v in full.named_parameters()}
    assert {k: v.shape for k, v in model.named_parameters()}.items() <= shapes.items()


def test_coarse_only_spreads_a_class_evenly_over_its_leaves():
    model, batch = make(switch="coarse_only"), batch_of()
    output = model(batch)
    assert set(terms_of("coarse_only")) == {"ce_coarse"}
    assert set(output.attention) == {"coarse"}
    coarse, leaf = output.logits["coarse"].softmax(1), output.logits["leaf"].softmax(1)
    counts = TWO.membership("coarse").sum(0)
    parents = TWO.ancestor_index("coarse")
    expected = coarse.detach().numpy()[:, parents] / counts[parents]
    np.testing.assert_allclose(leaf.detach().numpy(), expected, rtol=1e-5)


def test_coarse_only_trains_its_level_without_a_curriculum():
    assert terms_of("coarse_only", 0.0) == terms_of("coarse_only", 1.0)


def test_coarse_only_on_a_flat_tree_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="flat"):
        make(FLAT, "coarse_only")


@pytest.mark.parametrize("tree", [TWO, THREE, UNEQUAL], ids=lambda t: t.name)
@pytest.mark.parametrize("seed", range(6))
def test_a_shuffled_tree_deals_the_same_places_to_other_leaves(tree, seed):
    true, shuffled = Hierarchy(tree), Hierarchy(tree, shuffled=True, seed=seed)
    assert not torch.equal(true.parents("leaf"), shuffled.parents("leaf"))
    assert torch.equal(true.parents("leaf").sort().values, shuffled.parents("leaf").sort().values)
    for level in tree.levels[1:-1]:
        assert torch.equal(true.parents(level), shuffled.parents(level))
    again = Hierarchy(tree, shuffled=True, seed=seed)
    assert torch.equal(shuffled.parents("leaf"), again.parents("leaf"))


def test_the_shuffled_tree_changes_the_coarse_terms_only():
    true, shuffled = terms_of(), terms_of("shuffled_tree")
    assert {k for k in PAPER if true[k] != shuffled[k]} == {"ce_coarse", "ia", "ba"}
    batch = batch_of()
    assert torch.equal(
        make()(batch).logits["leaf"], make(switch="shuffled_tree")(batch).logits["leaf"]
    )


@pytest.mark.parametrize("tree", TREES.values(), ids=lambda t: t.name)
def test_targets_of_every_level_are_the_ancestors_of_the_leaf(tree):
    targets = Hierarchy(tree).targets(torch.arange(5))
    for level in tree.levels:
        assert targets[level].tolist() == tree.ancestor_index(level).tolist()


def test_the_released_variant_is_a_preset_that_single_options_override():
    assert (
        HMILConfig(variant="released").model_dump()
        == HMILConfig(**SWITCHES["released"].overrides).model_dump()
    )
    config = build(HMILConfig, {"variant": "released", "classifier": "per_class"}, "method hmil")
    assert (config.classifier, config.contrast) == ("per_class", "all_classes")
    assert HMILConfig(**config.model_dump()) == config
    assert set(terms_of("released")) == PAPER - {"ia"}


CASES = [
    (tree, switch)
    for tree in TREES
    for switch in (None, *SWITCHES)
    if (tree, switch) != ("flat", "coarse_only")
]


@pytest.mark.parametrize(("tree", "switch"), CASES)
def test_every_term_is_finite_and_every_parameter_gets_a_gradient(tree, switch):
    model, batch = make(TREES[tree], switch), batch_of(TREES[tree])
    terms = model.loss(model(batch), batch, 0.4)
    for term in terms.values():
        assert torch.isfinite(term)
        assert any(g is not None and g.any() for g in _gradients(model, term))
    for (name, _), gradient in zip(
        model.named_parameters(), _gradients(model, sum(terms.values())), strict=True
    ):
        assert gradient is not None, name
        assert gradient.any() or name.endswith(INVARIANT), name


@pytest.mark.parametrize(("tree", "switch"), CASES)
def test_a_bag_alone_scores_as_in_a_batch_and_no_label_is_read(tree, switch):
    model, batch = make(TREES[tree], switch), batch_of(TREES[tree])
    together = model(batch.without_labels())
    assert list(together.logits) == list(model.levels) + ["leaf"] * ("leaf" not in model.levels)
    for b, bag in enumerate(batch.bags()):
        alone = model(bag)
        for level, logits in together.logits.items():
            torch.testing.assert_close(alone.logits[level][0], logits[b])
    for level, attention in together.attention.items():
        assert attention.shape == (sum(batch.sizes), len(TREES[tree].classes[level]))
        for part in attention.split(list(batch.sizes)):
            torch.testing.assert_close(part.sum(0), torch.ones(part.shape[1]))


@pytest.mark.parametrize("switch", [None, *SWITCHES])
def test_one_bag_of_one_patch_trains(switch):
    model = make(switch=switch).train()
    batch = batch_of(labels=(2,), sizes=(1,))
    terms = model.loss(model(batch), batch, 0.5)
    sum(terms.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_class_with_one_bag_in_the_batch_has_no_contrast_of_its_own_vector():
    model, batch = make(contrast="true_class"), batch_of(labels=(0, 1, 2, 3), sizes=(2, 1, 3, 1))
    assert model.loss(model(batch), batch, 0.5)["con"].item() == 0


@pytest.mark.parametrize("switch", [None, "released"])
def test_the_loss_under_bf16_autocast_is_close_to_the_one_in_float32(switch):
    model, batch = make(switch=switch), batch_of()
    exact = model.loss(model(batch), batch, 0.3)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.loss(model(batch), batch, 0.3)
    for name, term in rough.items():
        assert term.dtype == torch.float32
        assert term.item() == pytest.approx(exact[name].item(), rel=0.1, abs=0.02), name


def test_weights_start_kaiming_normal_with_zero_biases():
    torch.manual_seed(0)
    model = HMIL(HMILConfig(variant="released"), 1024, TWO)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.numel() > 5000:
            expected = (2 / parameter.shape[1]) ** 0.5
            assert parameter.std().item() == pytest.approx(expected, rel=0.05), name


def _branches(model):
    return list(model.net.branches.items())


def _gradients(model, value):
    return torch.autograd.grad(
        value, list(model.parameters()), retain_graph=True, allow_unused=True
    )
