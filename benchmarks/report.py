"""Print the committed results of every machine as Markdown.

python -m benchmarks.report
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Final

from benchmarks.command import run
from benchmarks.results import RESULTS
from mil_bench.base.errors import DataError

PRINTERS: Final = {
    "training": "training_table:print_training",
    "scaling": "scaling_table:print_scaling",
    "gpu": "gpu.table:print_gpu",
    "loading": "loading:print_loading",
    "waiting": "wait_share:print_waits",
    "cli": "cli:print_cli",
    "inference": "inference:print_inference",
    "inference_coverage": "inference_coverage:print_inference_coverage",
    "extraction": "extraction:print_extraction",
    "quality": "quality:print_quality",
}
"""Name of a results file -> module and function that print its rows."""


def report(
    results: Path = RESULTS,
) -> None:
    """Print the tables of every results file."""
    files = sorted(results.glob("*/*.json"))
    if not files:
        raise DataError(
            f"no results under {results}; make some with python -m benchmarks.training."
        )
    for path in files:
        content = json.loads(path.read_text())
        facts = ", ".join(f"{name} {value}" for name, value in content["hardware"].items())
        print(f"## {path.parent.name}: {path.stem}\n\n{facts}\n")
        module, _, function = PRINTERS[path.stem].partition(":")
        getattr(import_module(f"benchmarks.{module}"), function)(content["rows"])


if __name__ == "__main__":
    run(report)
