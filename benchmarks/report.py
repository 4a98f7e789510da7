"""Print the committed results of every machine as Markdown.

python -m benchmarks.report
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.command import run
from benchmarks.gpu.table import print_gpu
from benchmarks.results import RESULTS, Row
from benchmarks.scaling_table import print_scaling
from benchmarks.training_table import print_training
from mil_bench.errors import DataError

PRINTERS: Final[dict[str, Callable[[Sequence[Row]], None]]] = {
    "training": print_training,
    "scaling": print_scaling,
    "gpu": print_gpu,
}
"""Name of a results file -> what prints its rows."""


def report(
    folder: Annotated[Path, typer.Option(help="Results by hardware.")] = RESULTS,
) -> None:
    """Print the tables of every results file that has a printer."""
    files = sorted(folder.glob("*/*.json"))
    if not files:
        raise DataError(f"no results under {folder}; make some with python -m benchmarks.training.")
    for path in files:
        if path.stem in PRINTERS:
            content = json.loads(path.read_text())
            facts = ", ".join(f"{name} {value}" for name, value in content["hardware"].items())
            print(f"## {path.parent.name}: {path.stem}\n\n{facts}\n")
            PRINTERS[path.stem](content["rows"])


if __name__ == "__main__":
    run(report)
