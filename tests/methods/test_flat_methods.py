"""What single methods promise beyond the conformance tests."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.base.config import build
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods import METHODS
from mil_bench.methods.clam import CLAMMB, CLAMConfig

TWO = Taxonomy.flat("two", ["negative", "positive"])
THREE = Taxonomy.flat("three", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("name", "options"),
    [("abmil", {"head": "sigmoid"}), ("max", {"select": "positive_instance"})],
)
def test_a_form_for_two_classes_refuses_three(name, options):
    method = METHODS.get(name)
    config = build(method.Config, options, name)
    method(config, 4, TWO)
    with pytest.raises(ConfigError, match="two classes"):
        method(config, 4, THREE)


def test_transmil_refuses_a_width_that_its_heads_do_not_divide():
    with pytest.raises(ConfigError, match="multiple of heads"):
        build(METHODS.get("transmil").Config, {"dim": 60, "heads": 8}, "method transmil")


@pytest.mark.parametrize("subtyping", [False, True])
@pytest.mark.parametrize("kind", ["svm", "ce"])
@settings(max_examples=5, deadline=None)
@given(size=st.integers(1, 7))
def test_clam_takes_all_instances_of_a_bag_smaller_than_its_sample(subtyping, kind, size):
    torch.manual_seed(0)
    batch = BagBatch.pack([torch.randn(size, 4)], labels={LEAF: torch.tensor([2])})
    losses = []
    for k in (8, size):
        torch.manual_seed(1)
        config = CLAMConfig(width=8, k_sample=k, subtyping=subtyping, instance_loss=kind)
        method = CLAMMB(config, 4, THREE).eval()
        losses.append(method.loss(method(batch), batch, 0.0)["instance"])
    torch.testing.assert_close(losses[0], losses[1])


@pytest.mark.parametrize("name", ["clam-sb", "clam-mb"])
def test_clam_instance_loss_of_a_batch_is_the_mean_over_its_bags(name):
    method = METHODS.get(name)
    torch.manual_seed(0)
    model = method(build(method.Config, {"width": 8}, name), 4, THREE).eval()
    labels = {LEAF: torch.tensor([2, 0, 1])}
    batch = BagBatch.pack([torch.randn(n, 4) for n in (3, 20, 9)], labels=labels)
    together = model.loss(model(batch), batch, 0.0)
    alone = [model.loss(model(bag), bag, 0.0) for bag in batch.bags()]
    for term, value in together.items():
        torch.testing.assert_close(torch.stack([one[term] for one in alone]).mean(), value)


def test_the_instance_loss_of_clam_leaves_its_attention_alone():
    torch.manual_seed(0)
    model = CLAMMB(CLAMConfig(width=8), 4, THREE)
    batch = BagBatch.pack([torch.randn(9, 4)], labels={LEAF: torch.tensor([1])})
    model.loss(model(batch), batch, 0.0)["instance"].backward()
    assert all(p.grad is None for p in model.attention.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.project.parameters())
