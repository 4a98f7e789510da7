"""Probabilities of every method after one epoch, which no change may alter in silence.

``python tests/numbers_of_methods.py`` writes the table again. Do so after raising ``HARNESS`` or
the versions of the methods whose numbers change, and for a new method.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import mil_bench
from mil_bench.contract.spec import HARNESS
from mil_bench.methods import METHODS

TABLE = Path(__file__).parent / "data" / "numbers.json"
TOLERANCE = 2e-5
"""Instruction sets and threads change less than 1e-6 in one epoch, a hundredth of lr above 1e-4."""
LOOSE = {"wikg": 2e-4, "ilra": 1e-4}
"""Where rounding decides more: 3e-5 and 8e-6 between instruction sets."""
SLIDES = 6


def ours():
    """The methods of the package, without those that a test has registered."""
    return [entry.name for entry in METHODS if entry.origin == "mil-bench"]


def numbers(methods, folder):
    """Method -> slide -> probabilities of the leaves, after one epoch on fold 0 of digit-bags."""
    runs = mil_bench.run(
        methods,
        "digit-bags",
        fold=0,
        runs=folder,
        settings={"epochs": 1, "min_epochs": 1},
        device="cpu",
        quiet=True,
    )
    return {run.spec.method: _rows(run.predictions("test").head(SLIDES)) for run in runs}


def _rows(test):
    leaves = test[[column for column in test if column.startswith("leaf:")]].to_numpy()
    return {s: [round(p, 7) for p in row] for s, row in zip(test["slide_id"], leaves, strict=True)}


def versions(methods):
    """Method -> the version of its results."""
    return {name: METHODS.get(name).version for name in methods}


def main():
    """Write the table."""
    with tempfile.TemporaryDirectory() as folder:
        of_methods = numbers(ours(), folder)
    known = versions(of_methods)
    lines = {name: json.dumps({"version": known[name], **of_methods[name]}) for name in of_methods}
    body = ",\n".join(f' "{name}": {line}' for name, line in sorted(lines.items()))
    TABLE.write_text(f'{{\n "harness": "{HARNESS}",\n{body}\n}}\n')


if __name__ == "__main__":
    main()
