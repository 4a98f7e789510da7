"""Weights of encoders: from files of several forms, missing, wrong, dangerous or random."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from mil_bench.base.errors import MilBenchError, UsageError
from mil_bench.extraction.encoders.encoder import build, find_card, load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice, read_weights, to_timm

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return {k: v.clone() for k, v in build(find_card("test_vit")).network.state_dict().items()}


def load(path: Path, name: str = "test_vit"):
    return load_encoder(name, WeightsChoice(checkpoint=path), CPU, "32")


@pytest.mark.parametrize("form", ["safetensors", "pth", "wrapped", "parallel", "classifier"])
def test_every_usual_form_of_a_checkpoint_is_read(
    form: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(weights, path)
    else:
        head = {"head.weight": torch.zeros(10, 64), "head.bias": torch.zeros(10)}
        content = {
            "pth": weights,
            "wrapped": {"epoch": 3, "state_dict": weights},
            "parallel": {f"module.{k}": v for k, v in weights.items()},
            "classifier": weights | head,
        }[form]
        torch.save(content, path)
    encoder = load(path)
    assert encoder.name == "test_vit"  # no tag: these weights are not random
    assert encoder.weights.startswith("sha256:")
    for name, tensor in encoder.network.network.state_dict().items():
        torch.testing.assert_close(tensor, weights[name])


def test_without_weights_the_error_names_the_file_its_licence_and_the_ways_out() -> None:
    with pytest.raises(UsageError) as error:
        load_encoder("uni_v2", WeightsChoice(), CPU, "32")
    for part in (
        "pytorch_model.bin of https://huggingface.co/MahmoodLab/UNI2-h",
        "CC-BY-NC-ND-4.0",
        "access must be",
        "--weights",
        "--download",
        "--random-weights",
    ):
        assert part in str(error.value)


def test_a_checkpoint_that_is_not_there_is_named_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"uni.bin: there is no such.*MahmoodLab/UNI"):
        load(tmp_path / "uni.bin", "uni_v1")


def test_a_checkpoint_of_another_architecture_is_refused(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(weights, tmp_path / "vit.pth")
    with pytest.raises(MilBenchError, match=r"not a checkpoint of test_resnet.*missing.*not known"):
        load(tmp_path / "vit.pth", "test_resnet")


def test_tensors_of_another_shape_and_missing_ones_are_refused(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(weights | {"cls_token": torch.zeros(1, 1, 32)}, tmp_path / "w.pth")
    with pytest.raises(MilBenchError, match=r"1 of another shape \(cls_token\)"):
        load(tmp_path / "w.pth")
    torch.save({k: v for k, v in weights.items() if k != "norm.bias"}, tmp_path / "w.pth")
    with pytest.raises(MilBenchError, match=r"1 missing \(norm.bias\)"):
        load(tmp_path / "w.pth")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"cls_token": Evil()}, tmp_path / "w.pth")
    with pytest.raises(MilBenchError, match="contains code"):
        load(tmp_path / "w.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_damaged_checkpoint_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"half a file")
    with pytest.raises(MilBenchError, match="damaged"):
        load(tmp_path / name)


def test_a_file_without_a_dictionary_of_tensors_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "w.pth")
    with pytest.raises(MilBenchError, match="no dictionary of tensors"):
        read_weights(tmp_path / "w.pth")


def test_nothing_is_downloaded_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", never)
    with pytest.raises(UsageError):
        load_encoder("resnet50", WeightsChoice(), CPU, "32")
    assert load_encoder("test_vit", WeightsChoice(random=True), CPU, "32").name.endswith("-random")


def test_a_download_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(MilBenchError, match=r"no route to host\).*log in.*--weights"):
        load_encoder("uni_v1", WeightsChoice(download=True), CPU, "32")


def transformers_vit(w: dict[str, Tensor], images: Tensor, heads: int) -> Tensor:
    """A vision transformer written out (Dosovitskiy 2021, eq. 1-4) on transformers' names."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    projection = "embeddings.patch_embeddings.projection"
    kernel = w[f"{projection}.weight"]
    patches = F.conv2d(images, kernel, w[f"{projection}.bias"], kernel.shape[-1])
    x = torch.cat(
        [w["embeddings.cls_token"].expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)],
        dim=1,
    )
    x = x + w["embeddings.position_embeddings"]
    depth = 1 + max(int(k.split(".")[2]) for k in w if k.startswith("encoder."))
    for layer in (f"encoder.layer.{i}" for i in range(depth)):
        y = norm(x, f"{layer}.layernorm_before")
        q, k, v = (
            linear(y, f"{layer}.attention.attention.{part}").unflatten(-1, (heads, -1))
            for part in ("query", "key", "value")
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)
        x = x + linear(mixed, f"{layer}.attention.output.dense")
        y = norm(x, f"{layer}.layernorm_after")
        x = x + linear(F.gelu(linear(y, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
    return norm(x, "layernorm")[:, 0]


def random_transformers_weights(dim: int, depth: int, patch: int, tokens: int) -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, dim),
        "embeddings.position_embeddings": (1, tokens, dim),
        "embeddings.patch_embeddings.projection.weight": (dim, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": (dim,),
        "layernorm.weight": (dim,),
        "layernorm.bias": (dim,),
        "pooler.dense.weight": (dim, dim),
        "pooler.dense.bias": (dim,),
    }
    for i in range(depth):
        for part, (rows, columns) in {
            **{f"attention.attention.{p}": (dim, dim) for p in ("query", "key", "value")},
            "attention.output.dense": (dim, dim),
            "intermediate.dense": (2 * dim, dim),
            "output.dense": (dim, 2 * dim),
        }.items():
            shapes[f"encoder.layer.{i}.{part}.weight"] = (rows, columns)
            shapes[f"encoder.layer.{i}.{part}.bias"] = (rows,)
        for part in ("layernorm_before", "layernorm_after"):
            shapes |= {f"encoder.layer.{i}.{part}.{k}": (dim,) for k in ("weight", "bias")}
    rng = torch.Generator().manual_seed(0)
    return {
        k: torch.randn(shape, generator=rng, dtype=torch.float64) / 4 for k, shape in shapes.items()
    }


def test_weights_named_by_transformers_make_the_same_network() -> None:
    import timm

    weights = random_transformers_weights(dim=24, depth=2, patch=8, tokens=10)
    options = {"img_size": 24, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
    network = timm.create_model(
        "vit_base_patch16_224", **options, mlp_ratio=2, num_classes=0
    ).double()
    network.load_state_dict(to_timm(weights))
    images = torch.rand(2, 3, 24, 24, dtype=torch.float64)
    with torch.inference_mode():
        expected = transformers_vit(weights, images, heads=3)
        torch.testing.assert_close(network.eval()(images), expected)


def test_what_a_damaged_checkpoint_raised_is_named(tmp_path: Path) -> None:
    """Of this text ``torch.load`` says no more than a number."""
    (tmp_path / "w.pth").write_text("junk\n")
    with pytest.raises(
        MilBenchError, match=r"not a checkpoint \([A-Z][A-Za-z]+Error .*; download it"
    ):
        read_weights(tmp_path / "w.pth")
