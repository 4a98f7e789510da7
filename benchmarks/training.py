"""Training and inference against the plain loop, torchmil and the physical floor.

python -m benchmarks.training --workload W1,W2 --method abmil,hmil --precisions 32,bf16
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch

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
    workload: str = "W1,W2,W3",
    method: str = "abmil",
    precisions: str = "32,bf16",
    rounds: int = 5,
    threads: int = 2,
    bags: int | None = None,
    dropout: bool = True,
    inference: bool = False,
    epochs: int = 10,
    contestant: str = ",".join(RIVALS),
    quick: bool = False,
) -> None:
    """Measure, print the tables, keep the rows by hardware."""
    mode: Mode = "inference" if inference else "train"
    arithmetics = cast(list[Precision], chosen("precisions", precisions, ("32", "bf16")))
    rivals = chosen("contestant", contestant, RIVALS)
    for place in [WORKLOADS[name] for name in chosen("workload", workload, WORKLOADS)]:
        if quick:
            place = replace(place, train=max(place.train // QUICK, 1))
        learns = epochs if place.held_out and mode == "train" and not quick else 0
        for one in chosen("method", method, BUILDERS):
            entries = list(entries_of(place, one, rivals, arithmetics, bags, dropout))
            found = compare(entries, mode, rounds, threads, learns)
            rows = [{**row_key(entry, mode, threads), **row} for entry, row in found]
            print_tables(rows)
            if not quick:  # at once, so that a later failure loses nothing
                keep(results_path("training", CPU), rows, KEY, CPU)
    print(LEGEND)


if __name__ == "__main__":
    run(training)
