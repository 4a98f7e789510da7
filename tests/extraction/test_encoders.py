"""Encoders by name: networks as published, features as timm and torchvision would make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import resnet50
from torchvision.models.feature_extraction import create_feature_extractor

from mil_bench.base.errors import UnknownNameError
from mil_bench.extraction.encoders import ENCODERS
from mil_bench.extraction.encoders.cards import IMAGENET_MEAN, IMAGENET_STD
from mil_bench.extraction.encoders.encoder import Encoder, build, find_card, load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice, load_weights

CPU = torch.device("cpu")
PUBLISHED_MILLIONS = {  # parameters, from the papers and model cards
    "uni_v1": 303,
    "uni_v2": 681,
    "virchow": 631,
    "virchow2": 631,
    "hoptimus0": 1135,
    "hoptimus1": 1135,
    "gigapath": 1135,
    "phikon": 86,
}


def encoder_of(name: str) -> Encoder:
    return load_encoder(name, WeightsChoice(random=True), CPU, "32")


def photos(count: int, size: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", [n for n in ENCODERS.names() if n != "resnet50"])
def test_the_network_has_the_published_size_and_gives_the_features_of_its_card(name: str) -> None:
    with torch.device("meta"):
        network = build(find_card(name))
        features = network(torch.empty(2, 3, 224, 224))
    parameters = sum(p.numel() for p in network.parameters())
    assert round(parameters / 1e6) == PUBLISHED_MILLIONS[name]
    assert features.shape == (2, find_card(name).dim)


def test_resnet50_is_torchvisions_third_stage_averaged() -> None:
    torch.manual_seed(1)
    reference = resnet50(weights=None).eval()
    stage = create_feature_extractor(reference, ["layer3"])
    card = find_card("resnet50")
    network = build(card)
    network.load_state_dict(
        {
            f"network.{k}": v
            for k, v in reference.state_dict().items()
            if not k.startswith(("layer4", "fc"))
        }
    )
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = stage(images)["layer3"].mean((2, 3))
        torch.testing.assert_close(network(images), expected)
    assert card.dim == expected.shape[1] == 1024


def test_tiles_are_normalised_as_torchvision_does() -> None:
    encoder = encoder_of("resnet50")
    tiles = photos(2, 224)
    prepare = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    )
    images = torch.stack([prepare(Image.fromarray(t.numpy())) for t in tiles])
    with torch.inference_mode():
        torch.testing.assert_close(encoder(tiles), encoder.network(images), atol=1e-5, rtol=1e-4)


def test_any_model_of_timm_is_an_encoder_with_timms_own_preparation() -> None:
    encoder = encoder_of("test_vit")
    assert (encoder.name, encoder.card.dim, encoder.card.scaled) == ("test_vit-random", 64, 160)
    tiles = photos(3, 160)
    data = timm.data.resolve_data_config(timm.get_pretrained_cfg("test_vit").to_dict())
    prepare = timm.data.create_transform(**{**data, "crop_pct": 1.0})
    images = torch.stack([prepare(Image.fromarray(t.numpy())) for t in tiles])
    with torch.inference_mode():
        torch.testing.assert_close(encoder(tiles), encoder.network(images), atol=1e-5, rtol=1e-4)


def test_the_middle_is_seen_where_tiles_are_larger_than_the_input() -> None:
    encoder = encoder_of("test_vit")
    tiles = photos(2, 192)
    torch.testing.assert_close(encoder(tiles), encoder(tiles[:, 16:176, 16:176]))


def test_class_token_and_mean_of_patches_leave_registers_out() -> None:
    card = find_card("virchow2")
    small = {"embed_dim": 32, "depth": 1, "num_heads": 2, "img_size": 28, "patch_size": 14}
    arguments = {**card.arguments, **small}
    network = build(type(card)(**{**vars(card), "arguments": arguments})).double()
    images = torch.rand(2, 3, 28, 28, dtype=torch.float64)
    with torch.inference_mode():
        tokens = network.network.forward_features(images)
        assert tokens.shape == (2, 1 + 4 + 4, 32)
        expected = torch.cat([tokens[:, 0], tokens[:, 5:].mean(1)], dim=1)
        torch.testing.assert_close(network(images), expected)


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    state = torch.get_rng_state()
    first, second = encoder_of("test_vit"), encoder_of("test_vit")
    torch.testing.assert_close(torch.get_rng_state(), state)
    tiles = photos(1, 160)
    torch.testing.assert_close(first(tiles), second(tiles), rtol=0, atol=0)


def test_aliases_lead_to_one_encoder_and_unknown_names_to_suggestions() -> None:
    assert find_card("UNI2-h") is find_card("uni_v2")
    assert find_card("mahmood_uni") is find_card("uni_v1")
    with pytest.raises(UnknownNameError, match=r"'resnet50'.*list encoders"):
        find_card("resnet5O")


def test_every_card_says_what_must_be_known() -> None:
    for entry in ENCODERS:
        card = ENCODERS.get(entry.name)
        assert card.licence in entry.summary
        assert ("gated" in entry.summary) == card.gated
        assert card.repository in card.origin
        assert card.input_size <= card.scaled
        assert find_card(card.name) is card


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_half_precision_on_a_gpu_agrees_with_float32_on_the_cpu() -> None:
    tiles = photos(4, 224)
    half = load_encoder("resnet50", WeightsChoice(random=True), torch.device("cuda"), "16")
    torch.testing.assert_close(
        half(tiles).cpu(), encoder_of("resnet50")(tiles), atol=5e-3, rtol=2e-2
    )


def test_loaded_weights_are_used(tmp_path: Path) -> None:
    card = find_card("test_vit")
    source, target = build(card), build(card)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(parameter.numel()))
    torch.save(source.network.state_dict(), tmp_path / "w.pth")
    load_weights(target.network, tmp_path / "w.pth", card)
    images = torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        torch.testing.assert_close(target(images), source(images))
