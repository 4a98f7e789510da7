"""Which parameters of an encoder are its last blocks."""

from __future__ import annotations

from typing import Any

from torch import nn

from mil_bench.errors import UsageError
from mil_bench.extraction.encoders.build import Pooled

AFTER = (r".", (99999,))  # timm's mark of what belongs to the group before


def last_blocks(network: Pooled, blocks: int, name: str) -> dict[str, nn.Parameter]:
    """Name -> parameter of the last ``blocks`` blocks; no other parameter wants a gradient then.

    A block is what timm groups for learning rates by layer: a layer of a transformer, a residual
    block, a stage of the smallest networks. What follows the last one (a closing norm) is part of
    it; the stem is none. Raises ``UsageError`` when there are fewer.
    """
    groups = _groups(network.network, name)
    if blocks >= len(groups):
        raise UsageError(
            f"--online blocks={blocks}: encoder {name} has {len(groups) - 1} blocks; give fewer."
        )
    chosen = {parameter for group in groups[len(groups) - blocks :] for parameter in group}
    found = {}
    for full, parameter in network.network.named_parameters():
        parameter.requires_grad_(full in chosen)
        if full in chosen:
            found[full] = parameter
    return found


def _groups(network: Any, name: str) -> list[list[str]]:
    """Names of parameters: the stem, then a list per block."""
    from timm.models import group_parameters  # takes seconds

    if not hasattr(network, "group_matcher"):
        raise UsageError(
            f"timm does not say what the blocks of encoder {name} are; use --online adapter."
        )
    matcher = dict(network.group_matcher())
    blocks = matcher["blocks"]
    rules = [(blocks, None)] if isinstance(blocks, str) else list(blocks)
    matcher["blocks"] = [*rules, AFTER]
    groups: dict[int, list[str]] = group_parameters(network, matcher)
    return [groups[place] for place in sorted(groups)]
