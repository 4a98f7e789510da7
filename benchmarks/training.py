"""Training and inference against the plain loop, torchmil and the physical floor.

python -m benchmarks.training --workload W1,W2 --method abmil,hmil --precision 32,bf16
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, cast

import torch
import typer

from benchmarks.command import chosen, run
from benchmarks.comparison import RIVALS, compare, entries_of
from benchmarks.plain import BUILDERS
from benchmarks.results import keep, results_path
from benchmarks.station import Mode
from benchmarks.training_table import KEY, LEGEND, print_tables, row_key
from benchmarks.workloads import WORKLOADS
from mil_bench.contract.spec import Precision

CPU = torch.device("cpu")
QUICK = 4  # of the bags, one in


def training(
    workload: Annotated[str, typer.Option(help="Workloads.")] = "W1,W2,W3",
    method: Annotated[str, typer.Option(help="Methods with a plain form.")] = "abmil",
    precision: Annotated[str, typer.Option(help="Of ours; the others run at 32.")] = "32,bf16",
    rounds: Annotated[int, typer.Option(min=1, help="That count; one more warms up.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Of every contestant.")] = 2,
    batch: Annotated[int | None, typer.Option(min=1, help="Bags per step of ours.")] = None,
    dropout: Annotated[bool, typer.Option(help="As published, or none.")] = True,
    inference: Annotated[bool, typer.Option("--inference", help="Predict only.")] = False,
    epochs: Annotated[int, typer.Option(min=0, help="Before quality is scored (W2).")] = 10,
    contestant: Annotated[str, typer.Option(help="Besides plain.")] = ",".join(RIVALS),
    quick: Annotated[bool, typer.Option("--quick", help="A fraction; nothing is kept.")] = False,
) -> None:
    """Measure, print the tables, keep the rows by hardware."""
    mode: Mode = "inference" if inference else "train"
    precisions = cast(list[Precision], chosen("precision", precision, ("32", "bf16")))
    rivals = chosen("contestant", contestant, RIVALS)
    for place in [WORKLOADS[name] for name in chosen("workload", workload, WORKLOADS)]:
        if quick:
            place = replace(place, train=max(place.train // QUICK, 1))
        learns = epochs if place.held_out and mode == "train" and not quick else 0
        for one in chosen("method", method, BUILDERS):
            entries = list(entries_of(place, one, rivals, precisions, batch, dropout))
            found = compare(entries, mode, rounds, threads, learns)
            rows = [{**row_key(entry, mode, threads), **row} for entry, row in found]
            print_tables(rows)
            if not quick:  # at once, so that a later failure costs nothing
                keep(results_path("training", CPU), rows, KEY, CPU)
    print(LEGEND)


if __name__ == "__main__":
    run(training)
