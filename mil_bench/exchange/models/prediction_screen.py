"""Predictions on the terminal: decisions, and the certainty of the models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mil_bench.base.errors import counted
from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.inference.bootstrap import replicate
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.inference.transfer import ScoreTransfer, transfer
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.exchange.models.ensemble import EnsemblePredictions
from mil_bench.exchange.models.external_validation import ExternalValidation

MANY = 20  # slides from which a screen counts classes and lists the least certain only
LISTED = 10
_SHOWN = (PRIMARY, "macro_auc", "accuracy", "macro_f1")


def predictions_screen(predictions: EnsemblePredictions) -> Iterator[RenderableType]:
    """Yield a line per slide; of many slides the number per class and the least certain ones."""
    if len(predictions) <= MANY:
        yield _slides(predictions, range(len(predictions)), "")
        return
    counts = Counter(predictions.decided())
    table = Table("class", title="Slides per class", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("slides", justify="right")
    table.add_column("mean probability", justify="right")
    for name in predictions.taxonomy.leaves:
        chosen = [i for i, decided in enumerate(predictions.decided()) if decided == name]
        mean = f"{predictions.probability[chosen].mean():.2f}" if chosen else ""
        table.add_row(Text(name), str(counts[name]), mean)
    yield table
    rows = predictions.least_sure[:LISTED].tolist()
    yield _slides(predictions, rows, f"The {LISTED} slides that the models are least certain of")


def _slides(predictions: EnsemblePredictions, rows: range | list[int], title: str) -> Table:
    upper = [v for v in predictions.taxonomy.levels if v != LEAF]
    several, labelled = len(predictions.members) > 1, bool(predictions.labels)
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("slide", overflow="fold")
    for name in (*(["label"] if labelled else []), "class"):
        table.add_column(name)
    table.add_column("probability", justify="right")
    for name in ("agree", "spread") if several else ():
        table.add_column(name, justify="right")
    for level in upper:
        table.add_column(level)
    decided = {level: predictions.decided(level) for level in (*upper, LEAF)}
    for i in rows:
        cells = [predictions.slide_ids[i], *([predictions.labels[i]] if labelled else [])]
        cells += [decided[LEAF][i], f"{predictions.probability[i]:.2f}"]
        if several:
            # A share back to a number of models.
            agreeing = round(predictions.agreement[i] * len(predictions.members))
            cells += [f"{agreeing} of {len(predictions.members)}", f"{predictions.spread[i]:.2f}"]
        cells += [f"{decided[v][i]} {predictions.level(v)[i].max():.2f}" for v in upper]
        table.add_row(*map(Text, cells))
    return table


def validation_screen(validation: ExternalValidation) -> Iterator[RenderableType]:
    """Yield the verdict on the drop, then the scores of the models and of their ensemble."""
    ensemble = validation.predictions()
    moved = transfer(validation.own, validation.here)
    if moved:
        yield Text(drop_sentence(moved[Score(PRIMARY)], "Balanced accuracy"), style="bold")
    resampling = Resampling.of([ensemble])
    together = replicate({(0, 0): ensemble}, resampling)
    several = len(validation.ensemble.members) > 1
    table = Table("score", box=SIMPLE_HEAD)
    heads = ["own test", "here", "drop"] if moved else []
    for name in (*heads, *(["ensemble here"] if several or not moved else [])):
        table.add_column(name, justify="right")
    for score in _scores(together):
        columns: list[Replicated] = []
        if moved:
            columns += [moved[score].own, moved[score].here, moved[score].drop]
        if several or not moved:
            columns.append(together[score])
        table.add_row(Text(score.facts.title), *map(_with_ends, columns))
    yield table
    patients = len(resampling.patients)
    tested = f"{counted(len(ensemble), 'slide')} of {counted(patients, 'patient')}"
    yield Text(f"{tested}; 95 % intervals over patients", style="dim")


def drop_sentence(moved: ScoreTransfer, what: str, where: str = "") -> str:
    """Return one sentence on the drop of a score: ``what`` it is, and from ``where`` to where."""
    own, here, drop = moved.own, moved.here, moved.drop
    values = f"{100 * own.value:.1f} on their own test slides, {100 * here.value:.1f} here"
    if not drop.has_interval:
        return f"{what}{where}: {values}; too few patients for an interval of the drop."
    ends = (100 * drop.low, 100 * drop.high)
    if drop.low <= 0 <= drop.high:
        interval = f"{100 * drop.value:z.1f} points (95 % CI {ends[0]:z.1f} to {ends[1]:z.1f})"
        return f"{what} does not drop significantly{where}: {values}, drop {interval}."
    verb = "drops" if drop.value > 0 else "rises"
    low, high = sorted(map(abs, ends))
    interval = f"{abs(100 * drop.value):.1f} points (95 % CI {low:.1f} to {high:.1f})"
    return f"{what} {verb} by {interval}{where}: {values}."


def _scores(scores: Mapping[Score, object]) -> list[Score]:
    return [
        s
        for s in scores
        if not s.name
        and (
            (s.is_leaf and s.metric in _SHOWN)
            or (s.metric == PRIMARY and s.source in ("summed", "direct"))
        )
    ]


def _with_ends(drawn: Replicated) -> Text:
    """A score, and below it its interval where it has one."""
    value = f"{100 * drawn.value:z.1f}"
    if not drawn.has_interval:
        return Text(value)
    ends = f"{100 * drawn.low:z.1f} to {100 * drawn.high:z.1f}"
    return Text.assemble(value, "\n", (ends, "dim"))
