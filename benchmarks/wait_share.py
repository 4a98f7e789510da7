"""The share of a training epoch that the loop waits for bags of a packed cache."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

import torch

from benchmarks.contestants import OURS, Entry
from benchmarks.contestants.ours import make_method, make_trainer
from benchmarks.layouts import Array, open_packed, pack
from benchmarks.results import ResultRow
from benchmarks.table import Table
from benchmarks.workloads import WORKLOADS, Cohort, make_cohort
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.placement import Placement
from mil_bench.contract.spec import Precision
from mil_bench.nn.precision import feature_type
from mil_bench.training.checkpoint import SETUP, seed_everything
from mil_bench.training.loop import Trainer

CPU = torch.device("cpu")
HOMES: tuple[Placement, ...] = ("none", "ram")
PRECISIONS: tuple[Precision, ...] = ("32", "bf16")
TARGET = 0.03  # of an epoch
WAIT_KEY = ("workload", "stored", "home", "precision", "threads")


def wait_rows(workload: str, epochs: int, folder: Path | None) -> list[ResultRow]:
    """Return gated ABMIL on ``workload`` at 32 and bf16, from float32 and float16 files, by
    home.
    """
    place = WORKLOADS[workload]
    made = make_cohort(place)
    rows = []
    for stored in ("float32", "float16"):
        with tempfile.TemporaryDirectory(dir=folder) as new:
            bags: dict[str, Array] = {
                slide: made.store.bag(slide).astype(stored) for slide in made.train
            }
            cohort = replace(made, store=open_packed(pack(bags, Path(new) / "packed")))
            for precision, home in product(PRECISIONS, HOMES):
                entry = Entry(OURS, "abmil", place, precision, place.batch)
                key = (workload, stored, home, precision, torch.get_num_threads())
                times = measure(trainer_of(entry, cohort, home), epochs)
                rows.append({**dict(zip(WAIT_KEY, key, strict=True)), **times})
    return rows


def trainer_of(entry: Entry, cohort: Cohort, home: Placement) -> Trainer:
    """Return the harness's trainer on bags at ``home``."""
    bags = DeviceBags(cohort.store, CPU, dtype=feature_type(entry.precision), placement=home)
    seed_everything(entry.seed, SETUP)
    return make_trainer(entry, cohort, bags, make_method(entry, cohort.store.dim))


def measure(trainer: Trainer, epochs: int) -> ResultRow:
    """Return seconds of every epoch and how many of them were waited, after one that fills the
    caches.
    """
    row: ResultRow = {"seconds": [], "waited": []}
    trainer.method.train()
    for epoch in range(1, epochs + 2):
        seed_everything(0, epoch)
        start = time.perf_counter()
        trainer.train_epoch(epoch)
        if epoch > 1:
            row["seconds"].append(time.perf_counter() - start)
            row["waited"].append(trainer.wait_seconds)
    return row


def print_waits(rows: Sequence[ResultRow]) -> None:
    """Print milliseconds of an epoch, and the share spent waiting."""
    lines = []
    for row in rows:
        shares = [w / s for w, s in zip(row["waited"], row["seconds"], strict=True)]
        name = f"{row['workload']}, {row['stored']} file, precision {row['precision']}"
        spread = f"{100 * min(shares):.2f} - {100 * max(shares):.2f}"
        epoch = f"{1000 * median(row['seconds']):.0f}"
        lines.append(
            (f"{name}, --placement {row['home']}", epoch, f"{100 * median(shares):.2f}", spread)
        )
    print(
        Table(
            f"waiting for bags in an epoch of gated ABMIL (aim: under {TARGET:.0%})",
            ("", "epoch ms", "waited %", "spread %"),
            lines,
        )
    )
