"""The methods of the package, narrow enough that many can be built in a second."""

from __future__ import annotations

from typing import Any

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.checks.method.check import Candidate
from mil_bench.contract.method import Method
from mil_bench.methods import METHODS

OURS = [entry.name for entry in METHODS if entry.origin == "mil-bench"]
NARROW: dict[str, dict[str, Any]] = {
    "mean": {"width": 16},
    "max": {"width": 16},
    "abmil": {"width": 16, "hidden": 8},
    "clam-sb": {"width": 16},
    "clam-mb": {"width": 16},
    "transmil": {"dim": 16, "heads": 2},
    "dsmil": {"query_dim": 8},
    "dtfd": {"width": 16, "hidden": 8},
    "acmil": {"width": 16, "hidden": 8},
    "ilra": {"width": 16, "heads": 2, "rank": 2},
    "transformer": {"dim": 16, "heads": 2, "hidden": 16},
    "simlp": {"width": 16},
    "wikg": {"width": 16},
    "s4mil": {"width": 16, "states": 4},
    "probe": {"hidden": 8},
    "patch-gcn": {"width": 8},
    "aem": {"width": 16, "hidden": 8},
    "mhim": {"width": 16, "hidden": 8},
    "rrt": {"width": 16, "heads": 2, "cross_heads": 2, "epeg": 3},
    "hmil": {"embed_dim": 12, "fine_dim": 10, "fine_attention_dim": 8, "coarse_attention_dim": 8},
}


def narrow(name: str) -> Candidate:
    """The narrow form of a method, to be checked."""
    return Candidate(name, METHODS.get(name), NARROW.get(name, {}))


def make(name: str, taxonomy: Taxonomy, dim: int = 6, **overrides: Any) -> Method:
    """A narrow model with float64 parameters."""
    return narrow(name).plain(taxonomy, dim, **overrides)
