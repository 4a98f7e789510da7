"""A trained model as TorchScript or ONNX, kept only when it predicts like the model itself.

Both forms take one bag: ``features`` ``(n, dim)``, and ``coords`` ``(n, 2)`` where the method
requires them. They return the probabilities of every level that has a head. A trace repeats
the steps of one bag, so a method whose steps depend on the number of patches cannot have one. That
is found by comparing bags of many sizes, never assumed.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from mil_bench.base.atomic import write_bytes
from mil_bench.base.errors import RunError, UsageError
from mil_bench.contract.batch import BagBatch
from mil_bench.exchange.models.load_model import LoadedModel
from mil_bench.nn.stock import stock_layers

Portable = Literal["torchscript", "onnx"]
FILES: Final[dict[Portable, str]] = {"torchscript": "model.torchscript.pt", "onnx": "model.onnx"}
SIZES: Final = (1, 2, 3, 5, 17, 64, 100, 257, 1000, 4099)
"""Patches of the bags that both forms are compared on; the trace itself sees ``TRACED``."""
TRACED: Final = 50
TOLERANCE: Final = 1e-5
"""Largest difference of a probability."""

Predict = Callable[..., Sequence[Tensor]]


def write_portable(model: LoadedModel, form: Portable, folder: Path) -> Path:
    """Write ``model`` in another form and return the file.

    Raises ``RunError`` for a method that cannot have this form, after writing nothing, and
    ``UsageError`` where the packages of ONNX are not installed.
    """
    one = OneBag(model)
    path = folder / FILES[form]
    with torch.no_grad(), stock_layers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every constant; bags decide
        content = _torchscript(one) if form == "torchscript" else _onnx(one)
        predict = _read_torchscript(content) if form == "torchscript" else _read_onnx(content)
    check_equal(model, one, predict, form)
    write_bytes(path, content)
    return path


def check_equal(model: LoadedModel, one: OneBag, predict: Predict, form: Portable) -> None:
    """Raise ``RunError`` unless ``predict`` and the model agree on bags of all ``SIZES``."""
    for size in SIZES:
        inputs = one.example(size)
        expected = model.predict(*(tensor.numpy() for tensor in inputs))
        try:
            got = predict(*inputs)
        except Exception as error:
            raise _impossible(model, form, f"the traced model fails on a bag of {size}") from error
        for level, probabilities in zip(one.levels, got, strict=True):
            difference = abs(probabilities[0].double().numpy() - expected[level]).max()
            if not difference <= TOLERANCE:
                raise _impossible(
                    model, form, f"probabilities of a bag of {size} differ by {difference:.2g}"
                )


class OneBag(nn.Module):
    """The model on one bag, with standardisation, as probabilities of each of ``levels``."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__()
        if model.method.neighbours:
            raise _impossible(model, None, "its graph of patches is made outside the model")
        # A copy, because both forms are for predictions only.
        self.method = copy.deepcopy(model.method).requires_grad_(False)
        statistics = model.standardization
        self.mean: Tensor | None
        self.std: Tensor | None
        self.register_buffer("mean", None if statistics is None else statistics.mean)
        self.register_buffer("std", None if statistics is None else statistics.std)
        self.named = f"method {model.facts.method}"
        self.inputs = ["features", *(["coords"] if self.method.needs_coords else [])]
        with torch.no_grad():
            features, *coords = self.example(2)
            heads = self.method(BagBatch.pack([features], coords or None)).logits
        self.levels = [level for level in model.taxonomy.levels if level in heads]

    def example(self, size: int) -> tuple[Tensor, ...]:
        """Return random features ``(size, dim)`` and, if required, places on a square grid."""
        generator = torch.Generator().manual_seed(size)
        features = torch.randn(size, self.method.dim, generator=generator)
        places, side = torch.arange(size), max(1, round(size**0.5))
        coords = torch.stack([places % side, places // side], 1).float() * 256
        return (features, coords)[: len(self.inputs)]

    def forward(self, features: Tensor, coords: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return ``(1, K_level)`` for every level."""
        if self.mean is not None and self.std is not None:
            features = (features - self.mean) / self.std
        ones = torch.ones_like(features[:, 0], dtype=torch.int64)
        # Computed from the features, so that the trace follows their number.
        offsets = torch.stack([torch.zeros((), dtype=torch.int64), ones.sum()])
        batch = BagBatch(features, offsets, (features.shape[0],), coords=coords)
        batch.__dict__["segment"] = ones - 1  # all rows are of bag 0, however many there are
        logits = self.method(batch).logits
        return tuple(logits[level].softmax(1) for level in self.levels)


def _torchscript(one: OneBag) -> bytes:
    trace: Any = torch.jit.trace
    try:
        traced = trace(one, one.example(TRACED), check_trace=False)
    except Exception as error:  # of any class, from anywhere in the method
        raise _untraceable(one, "torchscript") from error
    file = io.BytesIO()
    torch.jit.save(traced, file)
    return file.getvalue()


def _read_torchscript(content: bytes) -> Predict:
    module: Any = torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]
    return lambda *inputs: module(*inputs)


def _onnx(one: OneBag) -> bytes:
    _require_onnx()
    patches = {0: torch.export.Dim("patches", min=1)}
    try:
        program: Any = torch.onnx.export(
            one,
            one.example(TRACED),
            dynamo=True,
            dynamic_shapes=tuple(patches for _ in one.inputs),
            input_names=one.inputs,
            output_names=[f"probabilities_{level}" for level in one.levels],
            verbose=False,
        )
    except Exception as error:
        raise _untraceable(one, "onnx") from error
    content: bytes = program.model_proto.SerializeToString()
    return content


def _read_onnx(content: bytes) -> Predict:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RunError(f"onnxruntime refuses the model ({str(error)[:120]}).") from error
    names = [entry.name for entry in session.get_inputs()]

    def predict(*inputs: Tensor) -> list[Tensor]:
        arrays = [tensor.numpy() for tensor in inputs]
        outputs = session.run(None, dict(zip(names, arrays, strict=True)))
        return [torch.from_numpy(output) for output in outputs]

    return predict


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--format onnx requires the package {error.name}; pip install 'mil-bench[onnx]', or "
            "use --format torchscript."
        ) from None


def _untraceable(one: OneBag, form: Portable) -> RunError:
    return RunError(
        f"{one.named} cannot be exported as {form}: its steps depend on the number of patches. "
        "The export without --format works (docs/models.md)."
    )


def _impossible(model: LoadedModel, form: Portable | None, why: str) -> RunError:
    what = f"as {form}" if form else "as TorchScript or ONNX"
    return RunError(
        f"method {model.facts.method} cannot be exported {what}: {why}. The export without "
        "--format works (docs/models.md)."
    )
