"""Figures of a study: history, importance, every field, and all fields together."""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mil_bench.base.atomic import write_text
from mil_bench.pictures.style import (
    BLUE,
    GREY,
    LABEL,
    ORANGE,
    SEQUENTIAL,
    SMALL,
    TINY,
    blank,
    quiet,
    save,
    titled,
)
from mil_bench.tuning.search import Search
from mil_bench.tuning.space import SearchField
from mil_bench.tuning.study import DEFAULT
from mil_bench.tuning.trial_queue import last_attempts

_PER_ROW = 4


def write_pictures(search: Search, study: Study, folder: Path) -> list[Path]:
    """Write ``history.png``, ``importance.png``, ``slice.png``, ``parallel.png``, ``search.html``.

    The importance needs two complete trials that differ, the page needs plotly (extra ``tune``);
    what cannot be made is left out. Returns what was written.
    """
    trials = [t for t in last_attempts(study) if t.state == TrialState.COMPLETE]
    shares = importances(study)
    drawings: dict[str, Callable[[], Figure]] = {
        "history.png": lambda: history(search, last_attempts(study)),
        "slice.png": lambda: slices(search, trials),
        "parallel.png": lambda: parallel(search, trials),
    }
    if shares:
        drawings["importance.png"] = lambda: importance(search, shares)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in drawings.items():
        written.append(folder / name)
        save(draw(), written[-1])
    page = write_page(search, study, folder / "search.html", with_importance=bool(shares))
    return [*written, *([page] if page else [])]


def importances(study: Study) -> dict[str, float]:
    """Return how much each field decides whether a trial is among the best; empty if undefined.

    Optuna's default evaluator, PED-ANOVA (Watanabe et al., IJCAI 2023); the shares add up to 1.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns of experimental evaluators
            return optuna.importance.get_param_importances(study)
    except (RuntimeError, ValueError):  # too few trials, or all alike
        return {}


def history(search: Search, ended: Sequence[FrozenTrial]) -> Figure:
    """Draw the objective of every trial in order, the best so far, and the default."""
    figure, axis = _figure(search, (6.4, 3.4), "History")
    complete = [(i, t) for i, t in enumerate(ended) if t.state == TrialState.COMPLETE]
    places, values = np.array([i for i, _ in complete]), _values([t for _, t in complete])
    best = np.maximum if search.direction == "maximize" else np.minimum  # the best so far
    axis.plot(
        places,
        best.accumulate(values),
        color=ORANGE,
        lw=1.4,
        drawstyle="steps-post",
        label="best so far",
    )
    axis.scatter(places, values, s=16, color=BLUE, alpha=0.6, lw=0, label="trial")
    for _, trial in complete:
        if trial.user_attrs.get(DEFAULT):
            axis.axhline(_value(trial), color=GREY, lw=1, ls=(0, (3, 3)), label="default")
    # At the bottom: they have no value.
    lost = [i for i, t in enumerate(ended) if t.state != TrialState.COMPLETE]
    if lost:
        axis.scatter(
            lost, np.zeros(len(lost)), marker="x", s=16, color=GREY, lw=1, clip_on=False,
            # x in trials, y in shares of the axis.
            transform=axis.get_xaxis_transform(), label="failed or pruned",
        )  # fmt: skip
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("trial", **LABEL)
    axis.set_ylabel(_objective(search), **LABEL)
    axis.legend(fontsize=SMALL, frameon=False)
    return figure


def importance(search: Search, shares: dict[str, float]) -> Figure:
    """Draw a bar for every field."""
    figure, axis = _figure(search, (5.2, 0.3 * len(shares) + 1.8), "Importance")
    names = list(shares)[::-1]
    axis.barh(names, [100 * shares[name] for name in names], color=BLUE, height=0.6)
    axis.set_xlabel("importance for reaching the best trials (%)", **LABEL)
    return figure


def slices(search: Search, trials: Sequence[FrozenTrial]) -> Figure:
    """Draw the objective against every field; later trials are darker, the default is a ring."""
    fields = search.space.fields
    columns = min(_PER_ROW, len(fields))
    rows = -(-len(fields) // columns)
    figure = blank(2.5 * columns + 1.2, 2.3 * rows + 0.7)
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    titled(figure, f"Slices: {search.title}")
    values = _values(trials)
    for axis, field in zip(axes, fields, strict=False):
        quiet(axis)
        x = _axis_of(axis, field, trials)
        # Later trials are darker: vmin below the first keeps it visible.
        axis.scatter(
            x, values, c=np.arange(len(trials)), cmap=SEQUENTIAL, vmin=-len(trials) / 3, s=18, lw=0
        )
        chosen = [i for i, t in enumerate(trials) if t.user_attrs.get(DEFAULT)]
        axis.scatter(x[chosen], values[chosen], s=50, facecolors="none", edgecolors=ORANGE, lw=1.4)
        axis.set_xlabel(field.name, **LABEL)
    for axis in axes[len(fields) :]:
        axis.set_axis_off()
    for row in range(rows):
        axes[row * columns].set_ylabel(_objective(search), **LABEL)
    return figure


def parallel(search: Search, trials: Sequence[FrozenTrial]) -> Figure:
    """Draw a line per trial through all fields, darker for better ones; the best in orange."""
    fields = search.space.fields
    figure, axis = _figure(search, (1.25 * (len(fields) + 1) + 2, 3.6), "Parallel coordinates")
    values = _values(trials)
    goodness = values if search.direction == "maximize" else -values  # higher is better
    lines = np.stack([*(_unit(f, trials) for f in fields), _scaled(values)], axis=1)
    order = np.argsort(goodness, kind="stable").tolist()  # the best is drawn last, on top
    shades = sns.color_palette(SEQUENTIAL, n_colors=len(trials) + 3)[3:]
    places = np.arange(len(fields) + 1)
    for rank, trial in enumerate(order):
        best = rank == len(order) - 1
        axis.plot(
            places, lines[trial], color=ORANGE if best else shades[rank], lw=1.8 if best else 0.8,
            alpha=1 if best else 0.8,
        )  # fmt: skip
    for place, field in enumerate(fields):
        low, high = _ends(field)
        axis.annotate(low, (place, 0), xytext=(0, -4), **_SMALL, va="top")
        axis.annotate(high, (place, 1), xytext=(0, 4), **_SMALL, va="bottom")
    axis.annotate(f"{values.min():.3g}", (places[-1], 0), xytext=(0, -4), **_SMALL, va="top")
    axis.annotate(f"{values.max():.3g}", (places[-1], 1), xytext=(0, 4), **_SMALL, va="bottom")
    names = [*(f.name for f in fields), search.objective.facts.title]
    axis.set_xticks(places, names, fontsize=SMALL)
    axis.tick_params(axis="x", pad=14)
    axis.set_yticks([])
    axis.set_ylim(-0.02, 1.02)  # whatever the trials hold
    for line in places.tolist():
        axis.axvline(line, color=GREY, lw=0.6)
    sns.despine(ax=axis, left=True, bottom=True)
    axis.grid(False)
    return figure


_SMALL: dict[str, Any] = {
    "textcoords": "offset points", "ha": "center", "fontsize": TINY, "color": GREY,
    "annotation_clip": False,
}  # fmt: skip


def _figure(search: Search, size: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    figure = blank(*size)
    axis = figure.subplots()
    quiet(axis)
    return titled(figure, f"{title}: {search.title}"), axis


def _objective(search: Search) -> str:
    return f"validation {search.objective.facts.title}"


def _values(trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
    return np.array([_value(t) for t in trials])


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _axis_of(axis: Axes, field: SearchField, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
    """Scale the axis for a field and return the positions of the trials on it."""
    if field.choices:
        axis.set_xticks(range(len(field.choices)), [str(c) for c in field.choices])
        axis.set_xlim(-0.5, len(field.choices) - 0.5)
        return np.array([field.choices.index(t.params[field.name]) for t in trials], dtype=float)
    if field.log:
        axis.set_xscale("log")
    return np.array([t.params[field.name] for t in trials], dtype=float)


def _unit(field: SearchField, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
    """Positions of the trials between the ends of a field, in ``[0, 1]``."""
    if field.choices:
        places = [field.choices.index(t.params[field.name]) for t in trials]
        return np.array(places) / max(1, len(field.choices) - 1)
    values = np.array([t.params[field.name] for t in trials], dtype=float)
    low, high = field.low, field.high
    if field.log:
        values, low, high = np.log(values), float(np.log(low)), float(np.log(high))
    return (values - low) / (high - low)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    span = float(np.ptp(values))
    return (values - values.min()) / span if span else np.full(len(values), 0.5)


def _ends(field: SearchField) -> tuple[str, str]:
    if field.choices:
        return str(field.choices[0]), str(field.choices[-1])
    return f"{field.low:g}", f"{field.high:g}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
body > div {{ overflow-x: auto }}
</style>
</head><body><h1>{title}</h1><p>{about}</p>
{plots}
</body></html>
"""


def write_page(search: Search, study: Study, path: Path, *, with_importance: bool) -> Path | None:
    """Write Optuna's own plots in one file; ``None`` without plotly (extra ``tune``).

    The file needs no network: plotly is inside, once.
    """
    try:
        import plotly  # noqa: F401
    except ImportError:
        return None
    from optuna import visualization as draw

    name = f"validation {search.objective.facts.title}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental, and of few trials
        figures = [
            draw.plot_optimization_history(study, target_name=name),
            draw.plot_slice(study, target_name=name),
            draw.plot_parallel_coordinate(study, target_name=name),
        ]
        if with_importance:
            figures.insert(1, draw.plot_param_importances(study, target_name=name))
    plots = [
        figure.to_html(full_html=False, include_plotlyjs=i == 0)  # the library once, inside
        for i, figure in enumerate(figures)
    ]
    about = f"Study {search.name}; objective: {name}, {search.direction}."
    write_text(
        path,
        _PAGE.format(
            title=html.escape(search.title), about=html.escape(about), plots="\n".join(plots)
        ),
    )
    return path
