"""Smooth multi-class SVM loss (Berrada, Zisserman, Kumar, ICLR 2018), top-1 form."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_CLEAR_CUT = math.log(1000.0)


def smooth_top1_svm(scores: Tensor, target: Tensor, alpha: float = 1.0, tau: float = 1.0) -> Tensor:
    """Loss of every row: ``(R, C)`` scores and ``(R,)`` targets -> ``(R,)``.

    ``tau * log sum_j exp((s_j + alpha [j != y]) / tau) - s_y``. Rows whose best score leads the
    second by ``tau ln 1000`` or more use the limit ``tau -> 0``,
    ``max_j (s_j + alpha [j != y]) - s_y``, as the authors' code does.
    """
    truth = F.one_hot(target, scores.shape[1]).to(scores.dtype)
    margins = scores + alpha * (1 - truth)
    score = (scores * truth).sum(1)
    smooth = tau * torch.logsumexp(margins / tau, 1) - score
    hard = margins.amax(1) - score
    best = scores.detach().topk(2, 1).values
    return torch.where(best[:, 0] - best[:, 1] >= tau * _CLEAR_CUT, hard, smooth)
