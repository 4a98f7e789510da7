import pytest
import torch

from mil_bench.errors import UsageError
from mil_bench.training.precision import autocast, gradient_scaler, resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def test_auto_is_32_on_a_cpu():
    assert resolve_precision("auto", CPU) == "32"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "16")])
def test_auto_is_bf16_on_a_gpu_that_has_it_and_16_elsewhere(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert resolve_precision("auto", CUDA) == expected


def test_16_on_a_cpu_is_refused_with_the_alternatives():
    with pytest.raises(UsageError, match="needs a CUDA device; use --precision 32 or bf16"):
        resolve_precision("16", CPU)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="'8' is unknown; expected auto, 32, bf16 or 16"):
        resolve_precision("8", CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_products_are_made_in_the_chosen_precision_with_float32_weights(precision, dtype):
    layer = torch.nn.Linear(4, 3)
    with autocast(precision, CPU):
        out = layer(torch.ones(2, 4))
    assert out.dtype == dtype
    out.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_losses_are_scaled_for_float16_only():
    assert not gradient_scaler("bf16", CPU).is_enabled()
    assert gradient_scaler("32", CPU).scale(torch.tensor(3.0)).item() == 3.0
