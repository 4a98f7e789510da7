import pytest
import torch

from mil_bench.base.errors import UsageError
from mil_bench.nn import precision
from mil_bench.nn.precision import autocast, gradient_scaler, resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("safe", [True, False])
def test_auto_is_bf16_for_a_safe_method_on_a_fast_device_only(monkeypatch, device, fast, safe):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: fast)
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: fast)
    assert resolve_precision("auto", device, safe) == ("bf16" if fast and safe else "32")


def test_a_chosen_precision_is_taken_whatever_the_method():
    assert resolve_precision("bf16", CPU, False) == "bf16"
    assert resolve_precision("32", CPU, True) == "32"


def test_16_on_a_cpu_is_refused_with_the_alternatives():
    with pytest.raises(UsageError, match="requires a CUDA device; use --precision 32 or bf16"):
        resolve_precision("16", CPU, True)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="'8' is unknown; expected auto, 32, bf16 or 16"):
        resolve_precision("8", CPU, True)


@pytest.mark.parametrize(("name", "dtype"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_products_are_made_in_the_chosen_precision_with_float32_weights(name, dtype):
    layer = torch.nn.Linear(4, 3)
    with autocast(name, CPU):
        out = layer(torch.ones(2, 4))
    assert out.dtype == dtype
    out.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_losses_are_scaled_for_float16_only():
    assert not gradient_scaler("bf16", CPU).is_enabled()
    assert gradient_scaler("32", CPU).scale(torch.tensor(3.0)).item() == 3.0
