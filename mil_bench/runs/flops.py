"""What one forward pass costs, whatever machine it runs on."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from mil_bench.bags.batch import BagBatch
from mil_bench.bags.graph import with_edges
from mil_bench.method import Method

PATCHES, ROW = 1000, 40


def forward_flops(method: Method) -> int:
    """Floating point operations of the forward pass of a bag of 1,000 patches.

    Matrix products, convolutions and attention as ``torch.utils.flop_counter`` counts them, a
    product and a sum being two; element-wise operations and Fourier transforms are not counted. The
    method must be in evaluation mode; no random state is touched.
    """
    device = next((p.device for p in method.parameters()), torch.device("cpu"))
    made = torch.Generator().manual_seed(0)
    features = torch.randn(PATCHES, method.dim, generator=made)
    places = torch.arange(PATCHES)
    coords = torch.stack([places % ROW, places // ROW], 1)
    batch = BagBatch.pack([features.to(device)], [coords.to(device)])
    counter = FlopCounterMode(display=False)
    devices = [device] if device.type == "cuda" else []
    # The counter's hooks refuse parameters that are sliced while gradients are off.
    with torch.random.fork_rng(devices), torch.enable_grad(), counter:
        method(with_edges(batch, method.neighbours))
    return int(counter.get_total_flops())
