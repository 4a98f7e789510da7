"""Train, validation and test sets: made, imported, checked and saved."""

from mil_bench.bags.splits.make import make_split
from mil_bench.bags.splits.split import Fold, Split

__all__ = ["Fold", "Split", "make_split"]
