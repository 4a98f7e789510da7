"""Optuna's samplers and pruners by the names of the command line."""

from __future__ import annotations

from hashlib import sha256

from optuna.pruners import BasePruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from mil_bench.tuning.quiet import quiet
from mil_bench.tuning.search import GP_TRIALS, PrunerName, SamplerName

MEDIAN_STARTUP = 5
WILCOXON_P = 0.1


def make_sampler(name: SamplerName, trials: int, study: str, number: int) -> BaseSampler:
    """A sampler for trial ``number`` alone, so that a continued study goes on as it would have.

    ``grid`` values are queued beforehand; beyond them nothing is drawn.
    """
    seed = int.from_bytes(sha256(f"{study}:{number}".encode()).digest()[:4], "big")
    if name == "auto":
        name = "gp" if trials <= GP_TRIALS else "tpe"
    if name == "gp":
        return quiet(GPSampler, seed=seed, warn_independent_sampling=False)
    return TPESampler(seed=seed) if name == "tpe" else RandomSampler(seed=seed)


def make_pruner(name: PrunerName) -> BasePruner:
    """A pruner; steps are the runs of a trial, fold by fold."""
    match name:
        case "median":
            return MedianPruner(n_startup_trials=MEDIAN_STARTUP)
        case "wilcoxon":
            return quiet(WilcoxonPruner, p_threshold=WILCOXON_P)
        case "none":
            return NopPruner()
