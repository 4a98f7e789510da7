"""The screen of an import: the mean scores first, then every run and how the files were read."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mil_bench.base.errors import counted
from mil_bench.evaluation.metrics import PRIMARY
from mil_bench.evaluation.scores import Scores
from mil_bench.evaluation.sums import mean_defined
from mil_bench.exchange.tables.imported import Imported

_SCORES = {PRIMARY: "balanced accuracy", "macro_auc": "AUC"}
_NOTES = 5


def show_imported(imported: Imported, console: Console) -> None:
    """Print what was imported: a line per run with its slides and scores."""
    runs = imported.runs
    means = [
        f"{words} {100 * mean:.1f}"
        for name, words in _SCORES.items()
        if (mean := mean_defined([_score(run.scores, name) for run in runs])) == mean
    ]
    where = f"{imported.dataset}, split {imported.split.name}"
    scores = ", ".join(means)
    what = f"{runs[0].spec.method} on {where}: {scores} over {counted(len(runs), 'external run')}"
    console.print(Text(f"{what}.", style="bold"))
    table = Table("seed", "fold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("slides", *_SCORES.values()):
        table.add_column(title, justify="right")
    table.add_column("run")
    for run in runs:
        numbers = [_number(_score(run.scores, name)) for name in _SCORES]
        place = (str(run.spec.seed), str(run.spec.fold), str(len(run.scores.slides)))
        table.add_row(*place, *numbers, run.spec.key if run.new else f"{run.spec.key} (was there)")
    console.print(table)
    for note in imported.notes[:_NOTES]:
        console.print(Text(f"note: {note}", style="yellow"))


def _score(scores: Scores, name: str) -> float:
    return scores.by_name.get(name, float("nan"))


def _number(value: float) -> str:
    return f"{100 * value:.1f}" if value == value else "–"
