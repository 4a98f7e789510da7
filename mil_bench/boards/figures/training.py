"""Training curves of a run, from its ``train.csv``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mil_bench.base.errors import DataError
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.figures.panels import axis_words
from mil_bench.evaluation.metrics import METRICS, Score
from mil_bench.pictures.style import GREY, LABEL, TINY, blank, headed, looks, quiet, short, titled

History = dict[str, NDArray[np.float64]]
_SHARES = ("balanced_accuracy", "macro_auc", "macro_f1", "accuracy")
_LOSSES = ("log_loss", "brier")


def draw(record: RunRecord) -> Figure:
    """Draw loss terms, validation scores and learning rate per epoch; a line at the chosen epoch.

    Raises ``DataError`` where the run has no readable ``train.csv``.
    """
    history = read_history(record.path / "train.csv")
    epochs = history.pop("epoch")
    terms = {k.removeprefix("loss_"): v for k, v in history.items() if k.startswith("loss_")}
    losses = ({"total": history["loss"]} if "loss" in history else {}) | terms
    scores = {m: 100 * history[f"val_{m}"] for m in _SHARES if f"val_{m}" in history}
    proper = {m: history[f"val_{m}"] for m in _LOSSES if f"val_{m}" in history}
    panels = {
        "training loss": losses,
        "validation (%) ↑": {METRICS[m].title: v for m, v in scores.items()},
        "validation ↓": {axis_words(Score(m)): v for m, v in proper.items()},
        "learning rate": {"lr": history["lr"]} if "lr" in history else {},
    }
    shown = {title: lines for title, lines in panels.items() if lines}
    down = -(-len(shown) // 2)
    figure = blank(8.4, 2.4 * down + 0.9)
    axes = figure.subplots(down, 2, squeeze=False).flatten()
    for axis, (title, lines) in zip(axes, shown.items(), strict=False):
        _panel(axis, epochs, lines)
        headed(axis, title)
        _chosen(axis, _best_epoch(record.path))
        if title == "learning rate":
            axis.set_ylim(bottom=0)
        axis.set_xlabel("epoch", **LABEL)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    return titled(figure, f"Training: {_title(record)}", _note(record, len(epochs)))


def read_history(path: Path) -> History:
    """Map columns to the values of all epochs; ``nan`` where an epoch has no such term."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        # A term may start at a later epoch.
        columns = {name: [float(row[name] or "nan") for row in rows] for name in (rows or [{}])[0]}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"cannot read {path} ({error}); was the run trained?") from None
    if not columns.get("epoch"):
        raise DataError(f"{path} has no epochs yet; wait until the first epoch ends.")
    return {name: np.array(values) for name, values in columns.items()}


def _panel(axis: Axes, epochs: NDArray[np.float64], lines: History) -> None:
    for (name, values), look in zip(lines.items(), looks(list(lines)).values(), strict=True):
        axis.plot(
            epochs, values, color=look.color, ls=look.dashes, lw=1.3, marker=look.marker, ms=3.5,
            markevery=max(1, len(epochs) // 8), label=short(name, 24),
        )  # fmt: skip
    if len(lines) > 1:
        axis.legend(fontsize=TINY, frameon=False, labelspacing=0.2, borderaxespad=0.1)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    quiet(axis)


def _chosen(axis: Axes, epoch: float) -> None:
    if epoch == epoch:  # nan while the run is not finished
        axis.axvline(epoch, color=GREY, lw=1, ls=(0, (3, 3)), zorder=1)


def _best_epoch(path: Path) -> float:
    """The epoch of the chosen weights; ``nan`` while the run is not finished."""
    try:
        return float(json.loads((path / "result.json").read_text(encoding="utf-8"))["best_epoch"])
    except (OSError, ValueError, KeyError):
        return float("nan")


def _title(record: RunRecord) -> str:
    if record.spec is None:
        return record.key
    s = record.spec
    return f"{s.method} on {s.dataset}, fold {s.fold}, seed {s.seed}"


def _note(record: RunRecord, epochs: int) -> str:
    chosen = _best_epoch(record.path)
    dashed = f" Dashed: epoch {chosen:.0f}, the chosen weights." if chosen == chosen else ""
    return f"Run {record.key}, {record.status}, {epochs} epochs.{dashed}"
