"""Does lower precision cost quality? The difference between runs that differ in nothing else.

python -m benchmarks.quality --runs RUNS, after

mil-bench run --method all --dataset digit-bags --seed 0,1,2 --precision 32 --runs RUNS
mil-bench run --method all --dataset digit-bags --seed 0,1,2 --precision bf16 --runs RUNS
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.command import run
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.table import Table
from mil_bench.base.errors import DataError
from mil_bench.boards.collect import RunRecord, collect
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.inference.retraining import PairedDifference, fold_differences
from mil_bench.evaluation.metrics import Score

KEY: Final = ("dataset", "method", "precision", "metric")
METRICS: Final = ("balanced_accuracy", "macro_auc")


@dataclass(frozen=True)
class Pair:
    """Two finished runs of one experiment, in float32 and in a lower precision."""

    full: RunRecord
    low: RunRecord

    @property
    def cell(self) -> tuple[int, int]:
        """Seed and fold."""
        return self.low.cell


def quality(
    runs: Path,
) -> None:
    """Print and keep the differences between precisions, with 95 % intervals."""
    rows = quality_rows(collect(runs))
    if not rows:
        raise DataError(
            f"{runs} holds no experiment of two folds run in both precisions; run each with "
            "--precision 32 and --precision bf16."
        )
    cpu = torch.device("cpu")
    keep(results_path("quality", cpu), rows, KEY, cpu)
    print_quality(rows)


def quality_rows(records: Iterable[RunRecord]) -> list[ResultRow]:
    """Return a row for every dataset, method, precision and metric that has pairs of two folds or
    more.

    Raises ``DataError`` when a method was run with several settings: a row is one experiment.
    """
    groups: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pairs(records):
        spec = pair.low.spec
        assert isinstance(spec, RunSpec)
        groups[spec.dataset, spec.method, spec.precision].append(pair)
    rows = []
    for group, found in sorted(groups.items()):
        if len({pair.cell for pair in found}) < len(found):
            raise DataError(
                f"{' '.join(group)} was run with several settings; give a folder in which runs "
                "differ in nothing but fold, seed and precision."
            )
        if len({fold for _, fold in (pair.cell for pair in found)}) > 1:
            rows += [
                dict(zip(KEY, (*group, metric), strict=True)) | compare(found, metric)
                for metric in METRICS
            ]
    return rows


def pairs(records: Iterable[RunRecord]) -> Iterator[Pair]:
    """Runs that are equal in everything but precision."""
    experiments: dict[str, dict[str, RunRecord]] = defaultdict(dict)
    for record in records:
        if record.status == "done" and isinstance(record.spec, RunSpec):
            twin = record.spec.model_copy(update={"precision": "32"})
            experiments[twin.key][record.spec.precision] = record
    for versions in experiments.values():
        full = versions.pop("32", None)
        if full is not None:
            yield from (Pair(full, low) for low in versions.values())


def compare(found: Sequence[Pair], metric: str) -> ResultRow:
    """Return means, and the corrected interval of the difference over folds (seeds averaged in
    each).
    """
    full = {pair.cell: score(pair.full, metric) for pair in found}
    low = {pair.cell: score(pair.low, metric) for pair in found}
    difference = PairedDifference.of(fold_differences(low, full), test_share(found))
    return {
        "pairs": len(found),
        "full": float(np.mean(list(full.values()))),
        "difference": difference.mean,
        "half_width": difference.half_width,
        "largest": max(abs(low[cell] - full[cell]) for cell in full),
    }


def test_share(found: Sequence[Pair]) -> float:
    """Test bags per training bag, mean over the runs."""
    results = [pair.full.result for pair in found]
    return float(np.mean([result.test_share for result in results if result is not None]))


def score(record: RunRecord, metric: str) -> float:
    """Return a leaf-level score of a finished run, in percent."""
    assert record.scores is not None
    return 100 * record.scores.values[Score(metric)]


def print_quality(rows: Sequence[ResultRow]) -> None:
    """Print a table per dataset and metric."""
    tables = sorted({(row["dataset"], row["metric"]) for row in rows})
    for dataset, metric in tables:
        chosen = [row for row in rows if (row["dataset"], row["metric"]) == (dataset, metric)]
        columns = ("method", "precision", "pairs", "float32", "difference [95 %]", "largest")
        cells = [
            (
                row["method"],
                row["precision"],
                str(row["pairs"]),
                f"{row['full']:.1f}",
                f"{row['difference']:+.1f} [{row['difference'] - row['half_width']:+.1f}, "
                f"{row['difference'] + row['half_width']:+.1f}]",
                f"{row['largest']:.1f}",
            )
            for row in chosen
        ]
        print(Table(f"{dataset}, {metric.replace('_', ' ')}, percent", columns, cells))


if __name__ == "__main__":
    run(quality)
