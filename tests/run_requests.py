"""Requests for grids of the toy plug-in."""

from pathlib import Path

import toy_grid

from mil_bench.dataset import DatasetOptions
from mil_bench.runs.grid import GridRequest

PLUGIN = Path(toy_grid.__file__).resolve()


def request(runs: Path, **changes) -> GridRequest:
    """One fold and seed of ``plain`` on the CPU, changed as told."""
    ask = {
        "dataset": "toy",
        "options": DatasetOptions(),
        "methods": ["plain"],
        "split": None,
        "folds": [0],
        "seeds": [0],
        "settings": {},
        "runs": runs,
        "device": "cpu",
    }
    return GridRequest(**{**ask, **changes})
