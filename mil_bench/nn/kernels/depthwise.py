"""Depthwise convolution of images whose last axis are the channels, as in rows of tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from mil_bench.contract.numerics import as_written, full_precision


def depthwise(x: Tensor, taps: Tensor) -> Tensor:
    """``(g, height, width, c)`` and odd filters ``(c, 1, a, b)`` -> the shape of ``x``.

    Zero padded, in float32 or more. In both directions the images are dense in memory with the
    channels last: oneDNN is several times slower on views of other rows, and in the channels-first
    layout its float32 gradient of a ``(33, 1)`` filter is wrong by some per cent at every length
    ``15 i + 1`` from 46 on (torch 2.15 on CPU).
    """
    with as_written(x):
        result: Tensor = _Depthwise.apply(full_precision(x), taps)
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor) -> Tensor:
        image = _image(x)
        ctx.save_for_backward(image, taps)
        return _convolve(image, taps).permute(0, 2, 3, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        image, taps = ctx.saved_tensors
        with as_written(grad):
            grad = _image(grad)
            # With odd filters the transposed convolution is one with the filters turned around.
            to_image = _convolve(grad, taps.flip(2, 3))
            to_taps = conv2d_weight(  # type: ignore[no-untyped-call]
                image, taps.shape, grad, padding=_reach(taps), groups=len(taps)
            )
        return to_image.permute(0, 2, 3, 1), to_taps


def _convolve(image: Tensor, taps: Tensor) -> Tensor:
    return F.conv2d(image, taps, padding=_reach(taps), groups=len(taps))


def _reach(taps: Tensor) -> tuple[int, int]:
    return taps.shape[2] // 2, taps.shape[3] // 2


def _image(x: Tensor) -> Tensor:
    """``(g, height, width, c)`` -> ``(g, c, height, width)``, dense in the order of ``x``."""
    return x.permute(0, 3, 1, 2).clone(memory_format=torch.channels_last)
