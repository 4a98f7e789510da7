"""Depthwise convolution of images whose last axis are the channels, as in rows of tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight


def depthwise(x: Tensor, taps: Tensor) -> Tensor:
    """``(g, height, width, c)`` and odd filters ``(c, 1, a, b)`` -> the shape of ``x``.

    Zero padded. In both directions the images are dense in memory with the channels last: oneDNN
    is several times slower on views of other rows, and in the channels-first layout its float32
    gradient of a ``(33, 1)`` filter is wrong by some per cent at every length ``15 i + 1`` from 46
    on (torch 2.15 on CPU).
    """
    result: Tensor = _Depthwise.apply(x, taps)
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor) -> Tensor:
        image, padding = _image(x), (taps.shape[2] // 2, taps.shape[3] // 2)
        ctx.save_for_backward(image, taps)
        return F.conv2d(image, taps, padding=padding, groups=len(taps)).permute(0, 2, 3, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        image, taps = ctx.saved_tensors
        grad = _image(grad)
        padding, groups = (taps.shape[2] // 2, taps.shape[3] // 2), len(taps)
        to_image = conv2d_input(image.shape, taps, grad, padding=padding, groups=groups)
        to_taps = conv2d_weight(image, taps.shape, grad, padding=padding, groups=groups)
        return to_image.permute(0, 2, 3, 1), to_taps


def _image(x: Tensor) -> Tensor:
    """``(g, height, width, c)`` -> ``(g, c, height, width)``, dense in the order of ``x``."""
    return x.permute(0, 3, 1, 2).clone(memory_format=torch.channels_last)
