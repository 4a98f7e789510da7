"""Do 95 % intervals hold the truth in 95 % of samples, and do tests of equals reject in 5 %?

python -m benchmarks.inference_coverage --samples 500 --seed 0    # more seeds add to the table

Samples have the size of the BRACS test set. The truth is the score on 20,000 patients. Two methods
are equally good; their difference is tested in every sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from benchmarks.command import run
from benchmarks.results import ResultRow, keep, read_rows, results_path
from benchmarks.simulated_scores import BRACS, Cohort, Sampling, predictions_of
from benchmarks.table import Table
from mil_bench.base.taxonomy import LEAF
from mil_bench.cli.parser import numbers
from mil_bench.evaluation.inference.bootstrap import Bootstrap
from mil_bench.evaluation.inference.delong import AucComponents
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.scores import score_draws

CPU = torch.device("cpu")
ALPHA = 0.05
POPULATION = 20_000
SETTINGS: Final = {
    "patients alike": BRACS,
    "slides alike": replace(BRACS, patient_sd=0.3),
}
"""Correlated slides of a patient (half of the noise is the patient's), and nearly independent."""
AUC = Score("auc", LEAF, "direct", "IC")
SCORES: Final = (
    Score("accuracy"),
    Score("balanced_accuracy"),
    Score("macro_auc"),
    Score("macro_f1"),
    Score("brier"),
    Score("log_loss"),
    Score.of_tree("mean_lca_distance"),
    Score("accuracy", "coarse", "summed"),
    Score("balanced_accuracy", "coarse", "summed"),
    Score("macro_auc", "coarse", "summed"),
    AUC,
)
PATIENTS, SLIDES, OBUCHOWSKI, DELONG = "patients", "slides", "Obuchowski", "DeLong"


@dataclass(frozen=True)
class Outcome:
    """One interval and one test of one sample; undefined ones hold nothing and reject nothing."""

    score: Score
    unit: str
    covered: bool
    rejected: bool


def inference_coverage(
    samples: int = 500,
    replicates: int = 1000,
    seed: str = "0",
) -> None:
    """Measure, keep the counts of these seeds, print the table of all seeds."""
    path = results_path("inference_coverage", CPU)
    for setting in SETTINGS:
        for number in numbers("--seed", seed):
            rows = list(coverage(setting, samples, replicates, number))
            keep(path, rows, ("setting", "score", "unit", "seed"), CPU)
    print_inference_coverage(read_rows(path))


def coverage(setting: str, samples: int, replicates: int, seed: int) -> Iterator[ResultRow]:
    """Counts over ``samples`` samples for every score and unit of resampling."""
    sampling = SETTINGS[setting]
    rng = np.random.default_rng([seed, len(setting)])
    truth = true_scores(sampling)
    covered: Counter[tuple[Score, str]] = Counter()
    rejected: Counter[tuple[Score, str]] = Counter()
    for number in range(samples):
        cohort = sampling.draw(rng)
        a, b = (predictions_of(sampling, cohort, rng) for _ in range(2))
        for found in (*by_draws(a, b, truth, replicates, number), *by_theory(a, b, truth)):
            covered[found.score, found.unit] += found.covered
            rejected[found.score, found.unit] += found.rejected
    for score, unit in covered:
        counts = {"covered": covered[score, unit], "rejected": rejected[score, unit]}
        kept = {"samples": samples, "replicates": replicates, "seed": seed}
        yield {
            "setting": setting,
            "score": " ".join(score) if score.name else str(score),
            "unit": unit,
        } | (kept | counts)


def true_scores(sampling: Sampling) -> dict[Score, float]:
    """Return scores of a method on very many patients."""
    rng = np.random.default_rng(2026)
    cohort: Cohort = sampling.draw(rng, POPULATION)
    p = predictions_of(sampling, cohort, rng)
    found = score_draws(p, np.ones((len(p), 1), dtype=np.float32))
    return {score: float(found[score][0]) for score in SCORES}


def by_draws(
    a: Predictions, b: Predictions, truth: dict[Score, float], replicates: int, seed: int
) -> Iterator[Outcome]:
    """Yield bootstraps over patients and, wrongly, over slides."""
    for unit in (PATIENTS, SLIDES):
        pair = {
            name: {(0, 0): p if unit == PATIENTS else replace(p, groups=p.slide_ids)}
            for name, p in (("a", a), ("b", b))
        }
        bootstrap = Bootstrap.of(pair, replicates, seed)
        for score, value in truth.items():
            found = bootstrap.scores["a"][score]
            p = bootstrap.difference("a", "b", score).p
            yield Outcome(score, unit, found.low <= value <= found.high, p < ALPHA)


def by_theory(a: Predictions, b: Predictions, truth: dict[Score, float]) -> Iterator[Outcome]:
    """Yield standard errors of one class's AUC: of patients and, wrongly, of slides."""
    k = a.taxonomy.index(AUC.name)
    positive = a.labels == k
    one, other = (AucComponents.of(positive, p.heads[LEAF][:, k]) for p in (a, b))
    pair = one - other
    for unit in (OBUCHOWSKI, DELONG):
        found, difference = (
            c.clustered(positive, a.groups) if unit == OBUCHOWSKI else c.unclustered()
            for c in (one, pair)
        )
        covered = found.low <= truth[AUC] <= found.high
        yield Outcome(AUC, unit, covered, difference.p < ALPHA)


def print_inference_coverage(rows: Sequence[ResultRow]) -> None:
    """Print per cent of samples, all seeds together."""
    for setting in SETTINGS:
        chosen = [row for row in rows if row["setting"] == setting]
        total: dict[tuple[str, str], Counter[str]] = {}
        for row in chosen:
            counts = {name: row[name] for name in ("samples", "covered", "rejected")}
            total.setdefault((row["score"], row["unit"]), Counter()).update(counts)
        lines = [
            (
                f"{score}, {unit}",
                f"{100 * counts['covered'] / counts['samples']:.1f}",
                f"{100 * counts['rejected'] / counts['samples']:.1f}",
            )
            for (score, unit), counts in sorted(total.items())
        ]
        samples = max(counts["samples"] for counts in total.values())
        title = f"{setting}: {samples:,} samples of 30 patients, about 87 slides, 7 classes"
        heads = ("score, unit of resampling", "coverage % (95)", "false positives % (5)")
        print(Table(title, heads, lines))


if __name__ == "__main__":
    run(inference_coverage)
