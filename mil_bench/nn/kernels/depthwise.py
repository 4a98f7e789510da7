"""Depthwise convolution of images whose last axis are the channels, as in rows of tokens.

Formula: ``y[c] = x[c] * taps[c]`` per channel, zero padded; ``dx[c] = dy[c] * reversed taps[c]``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.stock import first_order


def depthwise(x: Tensor, taps: Tensor) -> Tensor:
    """Compute :func:`mil_bench.nn.sequences.depthwise`.

    In both directions the images are dense in memory with the channels last. oneDNN is several
    times slower on views of other rows. In the channels-first layout its float32 gradient of a
    ``(33, 1)`` filter is wrong by some per cent at lengths ``15 i + 1`` from 46 on (torch 2.15 on
    CPU).
    """
    with as_written(x):
        # (g, c, h, w)
        image: Tensor = _Depthwise.apply(dense(full_precision(x).permute(0, 3, 1, 2)), taps)
    return image.permute(0, 2, 3, 1)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(image: Tensor, taps: Tensor) -> Tensor:
        return convolve(image, taps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        image, taps = ctx.saved_tensors
        with as_written(grad):
            # Its layout is up to the layer above, and the wrong one is the defect described there.
            grad = dense(grad)
            # With odd filters the transposed convolution is one with the filters turned around.
            to_image = convolve(grad, taps.flip(2, 3))
            to_taps = conv2d_weight(  # type: ignore[no-untyped-call]
                image, taps.shape, grad, padding=_reach(taps), groups=len(taps)
            )
        return to_image, to_taps


def convolve(image: Tensor, taps: Tensor) -> Tensor:
    """Convolve ``(g, c, height, width)`` with odd filters ``(c, 1, a, b)``; keeps the shape."""
    return F.conv2d(image, taps, padding=_reach(taps), groups=len(taps))


def dense(image: Tensor) -> Tensor:
    """Return a dense copy with the channels last."""
    return image.clone(memory_format=torch.channels_last)


def _reach(taps: Tensor) -> tuple[int, int]:
    return taps.shape[2] // 2, taps.shape[3] // 2
