"""Every column of a board that is no score, in one table; scores stand in ``metrics_table``."""

from __future__ import annotations

from mil_bench.evaluation.metrics_table import METRICS, facts
from mil_bench.leaderboard.tables.column import Column, score_column
from mil_bench.taxonomy import LEAF, Taxonomy

RATES = ("sensitivity", "specificity", "ppv", "npv")
"""Shares of some slides of one class, which are often 0 or 1 for a class of few slides."""

_TABLE = (
    Column("method", "Method"),
    Column("variant", "Variant", note="what sets the row apart from others of its method"),
    Column("level", "Level"),
    Column("source", "Decision", note="a level's own head (direct) or the leaves (summed)"),
    Column("class", "Class"),
    Column("tier", "Tier", "rank", note="rows of one tier are not separable from its first"),
    Column("rank", "Rank", "rank", -1, interval="patients"),
    Column("first", "P(first)", "probability", 1, note="share of draws in which no row is better"),
    Column("behind", "Behind", "fraction", -1, interval="patients", note="the first row minus it"),
    Column("p", "p", "probability", note="of being behind, Holm over all rows behind the first"),
    Column(
        "detectable", "MDD", "fraction",
        note="smallest difference to the first row that is found with 80 % power",
    ),
    Column("status", "Status"),
    Column("coverage", "Runs", note="finished of asked runs"),
    Column("folds", "Folds"),
    Column("seeds", "Seeds"),
    Column("test_slides", "Test slides", "count"),
    Column("test_patients", "Test patients", "count"),
    Column("searches", "Searches", "count"),
    Column("trials", "Trials", "count", note="of all searches of the row"),
    Column("failed_trials", "Failed trials", "count"),
    Column("tuning_hours", "Tuning", "hours", -1),
    Column("tuned_for", "Tuned for"),
    Column("parameters", "Parameters", "count", -1),
    Column("flops", "FLOPs", "FLOPs", -1, note="forward pass of one bag of 1,000 patches"),
    Column("train_seconds", "Training", "seconds", -1, note="of one run"),
    Column("test_seconds", "Test", "seconds", -1, note="of one test set"),
    Column("slide_seconds", "Per slide", "seconds", -1, note="inference of one test slide"),
    Column("peak_memory_mb", "Memory", "MiB", -1, note="largest over training"),
    Column("epochs", "Epochs", "count"),
    Column("pareto", "Pareto", note="costs for which no better row is cheaper"),
    Column("device", "Device"),
    Column("precision", "Precision"),
    Column("settings", "Settings", note="digest of all settings of the row"),
    Column("method_version", "Method version"),
    Column("mil_bench", "mil-bench"),
    Column("tree", "Tree"),
    Column("split", "Split"),
    Column("split_digest", "Split digest"),
    Column("leaky", "Leaky"),
    Column("run_keys", "Run keys"),
    Column("notes", "Notes", note="what is wrong with numbers of the row"),
)  # fmt: skip
COLUMNS = {column.name: column for column in _TABLE}


def columns(*names: str) -> tuple[Column, ...]:
    """Columns by name; ``KeyError`` for one that is not in the table."""
    return tuple(COLUMNS[name] for name in names)


def level_column(name: str, tree: Taxonomy) -> Column:
    """The column of a score that may be of a level: ``coarse_direct_accuracy``."""
    if name in METRICS:
        return score_column(name, "" if facts(name).needs == "tree" else LEAF)
    return score_column(name, next(v for v in tree.levels if name.startswith(f"{v}_")))


def class_column(name: str) -> Column:
    """The column of a score of one class against the rest."""
    if facts(name).unit == "count":
        return score_column(name, "", "")
    return score_column(name, "", "patients or Wilson" if name in RATES else "patients")
