"""The plain transformer and SiMLP against the same models made of torch's own modules."""

from __future__ import annotations

import pytest
import torch
from narrow_methods import make
from torch import Tensor, nn

from mil_bench.base.config import build
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import LEAF
from mil_bench.checks.method.samples import flat, make_batch
from mil_bench.methods import METHODS
from mil_bench.methods.transformer import Transformer

THREE = flat(3)
SIZES = (5, 1, 12, 5)


def torch_encoder(model: Transformer) -> nn.TransformerEncoder:
    """Torch's encoder with the weights of ``model``."""
    config = model.config
    layer = nn.TransformerEncoderLayer(
        config.dim,
        config.heads,
        config.hidden,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
        dtype=torch.float64,
    )
    encoder = nn.TransformerEncoder(
        layer, config.layers, norm=model.norm, enable_nested_tensor=False
    )
    for theirs, ours in zip(encoder.layers, [*model.layers, model.last], strict=True):
        theirs.self_attn.in_proj_weight = ours.attention.qkv.weight
        nn.init.zeros_(theirs.self_attn.in_proj_bias)
        theirs.self_attn.out_proj = ours.attention.out
        theirs.linear1, theirs.linear2 = ours.feed[0], ours.feed[2]
        theirs.norm1, theirs.norm2 = ours.norm1, ours.norm2
    return encoder


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_transformer_is_the_encoder_of_torch_in_scores_and_gradients(layers):
    batch = make_batch(SIZES, (0, 1, 2, 0), THREE)
    model = make("transformer", THREE, layers=layers)
    encoder = torch_encoder(model)

    def expected(x: Tensor) -> Tensor:
        tokens = torch.cat([model.token, model.project(x)])[None]
        return model.classifier(encoder(tokens)[:, 0])

    theirs = torch.cat([expected(bag.features) for bag in batch.bags()])
    ours = model(batch).logits[LEAF]
    torch.testing.assert_close(ours, theirs)
    parameters = list(model.parameters())
    got, wanted = (
        torch.autograd.grad(logits.square().sum(), parameters) for logits in (ours, theirs)
    )
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_the_attention_of_the_class_token_is_that_of_torch_without_its_own_share():
    batch = make_batch((7,), (0,), THREE)
    model = make("transformer", THREE, layers=1).eval()
    layer = torch_encoder(model).layers[0]
    tokens = layer.norm1(torch.cat([model.token, model.project(batch.features)])[None])
    _, weights = layer.self_attn(tokens, tokens, tokens, average_attn_weights=False)
    patches = weights[0, :, 0, 1:]  # (heads, N)
    expected = (patches / patches.sum(1, keepdim=True)).mean(0)
    torch.testing.assert_close(model(batch).attention[LEAF][:, 0], expected)


def test_no_matrix_of_all_pairs_is_kept_for_the_gradient():
    size, dim, heads = 700, 16, 2
    model = make("transformer", THREE, layers=3).float()
    batch = make_batch((size,), (0,), THREE).to("cpu", torch.float32)
    kept: list[int] = []

    def record(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        model(batch)
    assert max(kept) <= 3 * dim * (size + 1) < heads * size**2


@pytest.mark.parametrize("mlp", [True, False])
def test_simlp_is_a_network_of_the_mean(mlp):
    batch = make_batch(SIZES, (0, 1, 2, 0), THREE)
    model = make("simlp", THREE, mlp=mlp).eval()
    means = torch.stack([bag.features.mean(0) for bag in batch.bags()])
    hidden = nn.Sequential(*model.hidden)(means) if mlp else means
    torch.testing.assert_close(model(batch).logits[LEAF], model.classifier(hidden))


@pytest.mark.parametrize(("name", "width"), [("transformer", "dim"), ("ilra", "width")])
def test_heads_must_divide_the_width(name, width):
    with pytest.raises(ConfigError, match="multiple of heads"):
        build(METHODS.get(name).Config, {width: 20, "heads": 8}, name)
