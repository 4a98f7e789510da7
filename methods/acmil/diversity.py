"""The diversity loss of ACMIL: branches shall not attend to the same instances."""

from __future__ import annotations

import torch
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.segment import segment_matmul


def similarity(attention: Tensor, branches: int, batch: BagBatch) -> Tensor:
    """Cosine of the attention of two branches over a bag; mean over pairs, heads and bags.

    ``attention`` is ``(sum N, branches * heads)``, at least two branches.
    """
    products = segment_matmul(attention, attention, batch.segment, batch.sizes)
    heads = products.shape[1] // branches
    products = products.view(-1, branches, heads, branches, heads).diagonal(dim1=2, dim2=4)
    lengths = products.diagonal(dim1=1, dim2=2).mT.sqrt()  # (B, branches, heads)
    one, other = torch.triu_indices(branches, branches, 1, device=attention.device)
    cosines: Tensor = products[:, one, other] / (lengths[:, one] * lengths[:, other])
    return cosines.mean()
