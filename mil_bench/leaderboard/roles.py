"""What a variant is for, read from its settings: the words that set its row apart."""

from __future__ import annotations

from typing import Final

from mil_bench.spec import RunSpec

SHUFFLED: Final = "shuffled tree"

HEADS: Final = {
    "multi": "multi head",
    "conditional": "conditional head",
    "marginal": "marginal head",
    "soft-labels": "soft labels",
}
"""The hierarchical heads of ``mil_bench/nn/heads/``."""


def role_of(spec: RunSpec, trained_tree: str = "") -> str:
    """``shuffled tree``, ``multi head`` and its like, or nothing.

    ``trained_tree`` is the tree of the training where runs are scored under another.
    """
    if spec.method_config.get("tree") == "shuffled" or trained_tree.endswith("-shuffled"):
        return SHUFFLED
    return head_role(spec)


def head_role(spec: RunSpec) -> str:
    """The hierarchical head that a flat method was given, or nothing."""
    return HEADS.get(str(spec.method_config.get("head")), "")
