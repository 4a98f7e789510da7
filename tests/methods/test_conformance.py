"""What every method of the package must do, whatever it computes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.config import build, search_space
from mil_bench.errors import UnknownNameError
from mil_bench.method import Method, Output
from mil_bench.methods import METHODS
from mil_bench.taxonomy import LEAF, Taxonomy
from mil_bench.training.config import TrainerConfig
from mil_bench.training.optim import make_optimizer

OURS = [entry.name for entry in METHODS if entry.origin == "mil-bench"]
every_method = pytest.mark.parametrize("name", OURS)
few = settings(max_examples=6, deadline=None)

# Narrow forms of the wide methods, so that many can be built in a second.
NARROW: dict[str, dict[str, Any]] = {
    "mean": {"width": 16},
    "max": {"width": 16},
    "abmil": {"width": 16, "hidden": 8},
    "clam-sb": {"width": 16},
    "clam-mb": {"width": 16},
    "transmil": {"dim": 16, "heads": 2},
    "dsmil": {"query_dim": 8},
    "dtfd": {"width": 16, "hidden": 8},
    "acmil": {"width": 16, "hidden": 8},
    "ilra": {"width": 16, "heads": 2, "rank": 2},
    "transformer": {"dim": 16, "heads": 2, "hidden": 16},
    "simlp": {"width": 16},
    "wikg": {"width": 16},
    "s4mil": {"width": 16, "states": 4},
    "probe": {"hidden": 8},
    "patch-gcn": {"width": 8},
    "aem": {"width": 16, "hidden": 8},
    "mhim": {"width": 16, "hidden": 8},
    "rrt": {"width": 16, "heads": 2, "cross_heads": 2, "epeg": 3},
    "hmil": {"embed_dim": 12, "fine_dim": 10, "fine_attention_dim": 8, "coarse_attention_dim": 8},
}
SIZES = (1, 2, 5, 12)
LABELS = (0, 1, 4, 4)


def make(name: str, taxonomy: Taxonomy, dim: int = 6, **overrides: Any) -> Method:
    method = METHODS.get(name)
    torch.manual_seed(1)
    config = build(method.Config, {**NARROW.get(name, {}), **overrides}, name)
    return method(config, dim, taxonomy).double()


def three_levels(classes: int) -> Taxonomy:
    """Groups of two leaves, groups of two groups."""
    leaves = [f"leaf{c}" for c in range(classes)]
    pairs = [leaves[i : i + 2] for i in range(0, classes, 2)]
    fours = [pairs[i : i + 2] for i in range(0, len(pairs), 2)]
    return Taxonomy(
        "deep",
        tuple(
            (f"top{i}", f"middle{i}.{j}", leaf)
            for i, four in enumerate(fours)
            for j, pair in enumerate(four)
            for leaf in pair
        ),
    )


def flat(classes: int) -> Taxonomy:
    return Taxonomy.flat("flat", [f"leaf{c}" for c in range(classes)])


def make_batch(
    sizes: tuple[int, ...], labels: tuple[int, ...], taxonomy: Taxonomy, dim: int = 6
) -> BagBatch:
    """Random bags with coordinates and the labels of every level."""
    torch.manual_seed(2)
    bags = [torch.randn(size, dim, dtype=torch.float64) for size in sizes]
    coords = [torch.rand(size, 2) * 1000 for size in sizes]
    levels = {
        level: torch.from_numpy(taxonomy.ancestor_index(level)[list(labels)])
        for level in taxonomy.levels
    }
    return BagBatch.pack(bags, coords, levels)


def tensors(output: Output) -> dict[str, Tensor]:
    """Logits and attention by name."""
    return {f"{k} logits": v for k, v in output.logits.items()} | {
        f"{k} attention": v for k, v in output.attention.items()
    }


@every_method
@few
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    dim=st.integers(1, 20),
    classes=st.integers(2, 30),
    tree=st.sampled_from([flat, three_levels]),
    data=st.data(),
)
def test_any_bag_size_dimension_and_tree_gets_scores_and_finite_losses(
    name, sizes, dim, classes, tree, data
):
    taxonomy = tree(classes)
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=4, max_size=4))
    batch = make_batch(tuple(sizes), tuple(labels[: len(sizes)]), taxonomy, dim)
    method = make(name, taxonomy, dim)
    output = method(batch)
    assert output.logits[LEAF].shape == (len(sizes), classes)
    for level, logits in output.logits.items():
        assert logits.shape == (len(sizes), len(taxonomy.classes[level]))
        assert logits.isfinite().all()
    for level, attention in output.attention.items():
        assert attention.shape[0] == sum(sizes), level
        assert attention.isfinite().all()
    terms = method.loss(output, batch, data.draw(st.sampled_from([0.0, 0.3, 1.0])))
    for term, value in terms.items():
        assert value.shape == (), term
        assert value.isfinite(), term


@every_method
@pytest.mark.parametrize("tree", [flat, three_levels])
def test_a_bag_alone_scores_as_it_does_in_a_batch(name, tree):
    taxonomy = tree(5)
    batch = make_batch(SIZES, LABELS, taxonomy)
    method = make(name, taxonomy).eval()
    together = tensors(method(batch))
    alone = [tensors(method(bag)) for bag in batch.bags()]
    for key, value in together.items():
        torch.testing.assert_close(torch.cat([one[key] for one in alone]), value)


@every_method
def test_the_order_of_instances_matters_only_where_declared(name):
    taxonomy = three_levels(5)
    batch = make_batch((130,), (1,), taxonomy)
    method = make(name, taxonomy).eval()
    order = torch.randperm(130, generator=torch.Generator().manual_seed(0))
    shuffled = BagBatch.pack([batch.features[order]], [batch.coords[order]])
    logits, again = method(batch).logits, method(shuffled).logits
    same = all(torch.allclose(logits[level], again[level], atol=1e-9) for level in logits)
    assert same is not method.order_dependent


@every_method
@pytest.mark.parametrize("tree", [flat, three_levels])
def test_every_parameter_gets_a_gradient_and_every_loss_term_moves_one(name, tree):
    taxonomy = tree(5)
    batch = make_batch(SIZES, LABELS, taxonomy)
    method = make(name, taxonomy)
    parameters = {k: p for k, p in method.named_parameters() if p.requires_grad}
    moving: set[str] = set()
    for progress in (0.1, 0.5, 0.9):  # a curriculum may rest a term at times
        terms = method.loss(method(batch), batch, progress)
        moving |= {term for term, value in terms.items() if moves(value, parameters)}
        sum(terms.values()).backward()
    assert moving == set(terms)
    for key, parameter in parameters.items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def moves(term: Tensor, parameters: dict[str, Tensor]) -> bool:
    gradients = torch.autograd.grad(
        term, list(parameters.values()), retain_graph=True, allow_unused=True
    )
    return any(g is not None and bool(g.abs().max() > 1e-9) for g in gradients)


@every_method
@pytest.mark.parametrize("tree", [flat, three_levels])
def test_attention_sums_to_one_within_each_bag(name, tree):
    taxonomy = tree(5)
    batch = make_batch(SIZES, LABELS, taxonomy)
    method = make(name, taxonomy).eval()
    attention = method(batch).attention
    assert LEAF in attention
    if method.attention_is_distribution:
        for level, weights in attention.items():
            for bag in torch.split(weights, list(batch.sizes)):
                torch.testing.assert_close(bag.sum(0), torch.ones_like(bag[0]), msg=level)
            assert (weights >= 0).all()


@every_method
def test_evaluation_is_deterministic_and_blind_to_labels(name):
    taxonomy = three_levels(5)
    batch = make_batch(SIZES, LABELS, taxonomy)
    method = make(name, taxonomy).eval()
    first = tensors(method(batch))
    for other in (batch, batch.without_labels()):
        for key, value in tensors(method(other)).items():
            assert torch.equal(value, first[key]), key


@every_method
def test_half_precision_features_cast_by_the_harness_score_as_their_values(name):
    taxonomy = flat(3)
    half = torch.randn(7, 6, generator=torch.Generator().manual_seed(0)).half()
    coords = torch.arange(14.0).view(7, 2)
    method = make(name, taxonomy).float().eval()
    cast = method(BagBatch.pack([half], [coords]).to("cpu", torch.float32)).logits[LEAF]
    again = method(BagBatch.pack([half.float()], [coords])).logits[LEAF]
    torch.testing.assert_close(cast, again)


@every_method
def test_eight_tiny_bags_can_be_learned_by_heart(name):
    taxonomy = Taxonomy.from_tree("four", {"a": ["a0", "a1"], "b": ["b0", "b1"]})
    labels = (0, 1, 2, 3, 0, 1, 2, 3)
    batch = make_batch((1, 2, 3, 4, 5, 6, 7, 8), labels, taxonomy, dim=16)
    method = make(name, taxonomy, dim=16)
    optimizer = make_optimizer(method, TrainerConfig(lr=1e-2, weight_decay=0))
    for _ in range(20):
        method.train()
        for _ in range(10):
            optimizer.zero_grad()
            sum(method.loss(method(batch), batch, 0.5).values()).backward()
            optimizer.step()
        predicted = method.eval()(batch).logits[LEAF].argmax(1)
        if torch.equal(predicted, batch.labels[LEAF]):
            return
    pytest.fail(f"after 200 steps {predicted.tolist()}, expected {list(labels)}")


@every_method
def test_an_unknown_option_is_an_error_that_names_the_nearest(name):
    config = METHODS.get(name).Config
    known = next(iter(config.model_fields))
    with pytest.raises(UnknownNameError, match=known):
        build(config, {f"{known}x": 1}, f"method {name}")


@every_method
def test_the_card_the_recipe_and_the_ablations_are_complete_and_valid(name):
    method = METHODS.get(name)
    assert method.paper.title
    assert method.paper.link.startswith(("https://", "arXiv:"))
    assert method.paper.differs
    assert build(TrainerConfig, method.recipe, name)
    assert all(twin in METHODS for twin in method.ablations.twins)
    for switch, change in method.ablations.switches.items():
        taxonomy = three_levels(5)
        changed = make(name, taxonomy, **change.overrides)
        assert changed.config != make(name, taxonomy).config, switch
        batch = make_batch(SIZES, LABELS, taxonomy)
        assert changed(batch).logits, switch


@every_method
def test_every_value_of_the_search_space_is_a_valid_configuration(name):
    config = METHODS.get(name).Config
    space = search_space(config)
    assert space
    for field, limits in space.items():
        ends = [limits.low, limits.high] if not limits.choices else limits.choices
        for value in itertools.filterfalse(lambda v: v is None, ends):
            assert getattr(config(**{field: value}), field) == value
