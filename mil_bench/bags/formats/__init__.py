"""Readers of every feature format; `read_bag` finds out which one a file is."""

from mil_bench.bags.formats.encoders import canonical_encoder
from mil_bench.bags.formats.folder import FeatureSet, choose, discover
from mil_bench.bags.formats.reader import BagSource, read_bag
from mil_bench.bags.formats.slide_ids import match_ids

__all__ = [
    "BagSource",
    "FeatureSet",
    "canonical_encoder",
    "choose",
    "discover",
    "match_ids",
    "read_bag",
]
