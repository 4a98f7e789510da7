"""What a variant is for, read from its settings: the words that set its row apart."""

from __future__ import annotations

from typing import Final

from mil_bench.base.errors import UsageError
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.spec import RunSpec
from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS
from mil_bench.runs.plan import resolve

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


# Which runs of a method were made with its default settings, as far as it is installed here.

NO_ADVICE = DatasetCard("", "", "", "", "", {}, "")


def is_default(spec: RunSpec) -> bool:
    """Whether the method, in its present version, has these settings without ``--set``.

    A dataset that is not registered, such as a ``.toml``, is taken to recommend none. A method
    that is not installed has no default.
    """
    try:
        cls = METHODS.get(spec.method)
        card = DATASETS.get(spec.dataset).card if spec.dataset in DATASETS else NO_ADVICE
    except UsageError:
        return False
    usual = resolve({spec.method: cls}, card, {})[spec.method]
    return (
        spec.method_version == cls.version
        and spec.method_config == usual.method.model_dump(mode="json")
        and spec.trainer == usual.trainer
        and spec.online is None
    )
