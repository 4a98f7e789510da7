"""Formulas in plain torch, the kernels that compute them faster, and the switch between the two.

A shared layer with a hand-written backward pass is a formula, decorated with its kernel::

    @computed_by(bags.softmax)
    def segment_softmax(scores, segment, offsets): ...

Calls run the kernel (:mod:`mil_bench.nn.kernels`). Inside :func:`stock_layers` they run the formula
itself, which torch differentiates twice and maps over samples. A test compares the two for every
entry of :data:`FORMULAS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import update_wrapper, wraps
from typing import Any, Final, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

from mil_bench.base.errors import UsageError

_ADVICE: Final = "Compute the model inside `with mil_bench.stock_layers():`."
P = ParamSpec("P")
R = TypeVar("R")
Backward = Callable[..., tuple[Tensor | None, ...]]

_in_stock: ContextVar[bool] = ContextVar("stock_layers", default=False)
_in_torch_func: Callable[[], bool] = getattr(
    torch._C, "_are_functorch_transforms_active", lambda: False
)


@contextmanager
def stock_layers() -> Iterator[None]:
    """Compute every shared layer by its formula in plain torch, on the same parameters.

    Needed for second derivatives, ``torch.func`` and ``vmap``, which hand-written backward passes
    do not support. The forward pass belongs inside. Outputs equal those of the fast layers within
    1e-5 in evaluation mode, and in training without dropout; with dropout, other entries are
    dropped. Slower, and no layer is computed part by part to save memory. Applies to the current
    thread or asynchronous task.
    """
    token = _in_stock.set(True)
    try:
        yield
    finally:
        _in_stock.reset(token)


class Formula(Generic[P, R]):
    """A function of plain torch, computed by ``kernel`` except inside :func:`stock_layers`."""

    def __init__(self, formula: Callable[P, R], kernel: Callable[P, R]) -> None:
        self.formula, self.kernel = formula, kernel
        update_wrapper(self, formula)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the kernel's result, or the formula's inside :func:`stock_layers`.

        Raises ``UsageError`` inside a transform of ``torch.func``, which kernels do not support.
        """
        if _in_stock.get():  # before the test: formulas are what torch.func may see
            return self.formula(*args, **kwargs)
        if _in_torch_func():
            raise UsageError(f"torch.func and vmap require plain torch. {_ADVICE}")
        return self.kernel(*args, **kwargs)


FORMULAS: Final[dict[str, Formula[..., Any]]] = {}
"""Every formula that has a kernel, by the name of its function."""


def computed_by(kernel: Callable[P, R]) -> Callable[[Callable[P, R]], Formula[P, R]]:
    """Decorate a formula: ``kernel`` computes the same from the same arguments."""

    def decorate(formula: Callable[P, R]) -> Formula[P, R]:
        name = formula.__name__
        FORMULAS[name] = pair = Formula(formula, kernel)
        return pair

    return decorate


def first_order(backward: Backward) -> Backward:
    """Decorate the backward pass of a kernel: a second derivative raises ``UsageError``.

    Its result depends on the saved tensors, so that every derivative meets the refusal.
    ``once_differentiable`` of torch passes those with a constant incoming gradient, and the result
    then lacks their share.
    """

    @wraps(backward)
    def guarded(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if grads[0] is None:  # nothing reaches the result
            return (None,) * len(ctx.needs_input_grad)
        with torch.no_grad():
            results = backward(ctx, *grads)
        if not torch.is_grad_enabled():  # no graph of the gradient is requested
            return results
        # Gradients and saved tensors alike: a derivative by any of them meets the refusal.
        sources = [t for t in (*grads, *ctx.saved_tensors) if t is not None]
        tensors = [result for result in results if result is not None]
        guard = iter(_Refusal.apply(len(tensors), *tensors, *sources))
        return tuple(None if result is None else next(guard) for result in results)

    return guarded


class _Refusal(torch.autograd.Function):
    """The first ``count`` tensors unchanged; has no derivative."""

    @staticmethod
    def forward(count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise UsageError(f"The fast layers have first derivatives only. {_ADVICE}")
