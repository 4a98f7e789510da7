"""Split files of other tools, recognised by content and read as a :class:`Listing`."""

from mil_bench.bags.splits.importers.detect import read_listing
from mil_bench.bags.splits.importers.listing import Listing

__all__ = ["Listing", "read_listing"]
