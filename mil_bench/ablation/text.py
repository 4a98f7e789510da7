"""Numbers of a study as words, the same on the screen, on the page and in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.ablation.metrics import title
from mil_bench.ablation.study import Study, StudyRow
from mil_bench.boards.board import BoardRow, Spread
from mil_bench.boards.formats.grid import INCOMPLETE, NONE
from mil_bench.boards.sheet import Sheet, shown
from mil_bench.evaluation.inference.retraining import PairedDifference
from mil_bench.evaluation.metrics import Score

ON, OFF = "✓", "·"


def study_sheets(study: Study, narrow: bool = False) -> list[Sheet]:
    """A table per level: variants, their components, scores and differences to the full method.

    ``narrow`` leaves out components and deviations, for terminals.
    """
    sheets = []
    for level, metrics in study.levels.items():
        heads = [head for m in metrics for head in (title(m), "Δ [95 %]")]
        parts = () if narrow else study.declared.components
        columns = ("variant", *parts, *heads, "runs")
        rows = tuple(_line(study, row, metrics, narrow) for row in study.rows)
        sheets.append(Sheet(f"{level} level", columns, rows))
    return sheets


def mean_text(spread: Spread, cells: BoardRow, metric: Score, narrow: bool = False) -> str:
    """``72.4 ±3.1``: mean and (unless ``narrow``) sd over folds; marked when runs are lacking."""
    mark = INCOMPLETE if 0 < spread.n < len(cells.asked) else ""
    mean = shown(spread.mean, metric) + mark
    if narrow or spread.sd_folds != spread.sd_folds:
        return mean
    return f"{mean} ±{shown(spread.sd_folds, metric)}"


def difference_text(difference: PairedDifference, metric: Score) -> str:
    """``-2.3 [-4.1, -0.5]``; without an interval where there is a single fold."""
    if difference.mean != difference.mean:
        return NONE
    mean = signed(difference.mean, metric)
    if difference.low != difference.low:
        return mean
    return f"{mean} [{signed(difference.low, metric)}, {signed(difference.high, metric)}]"


def signed(value: float, metric: Score) -> str:
    """``+1.2`` or ``-0.4``, in percent points for fractions; zero has no sign."""
    text = shown(value, metric)
    if float(text) == 0:
        return text.removeprefix("-")
    return text if text.startswith("-") else f"+{text}"


def marks(study: Study, row: StudyRow, on: str, off: str, none: str) -> list[str]:
    """A sign for every component."""
    has = row.variant.components
    return [none if has is None else on if has[name] else off for name in study.declared.components]


def verdicts(study: Study) -> list[str]:
    """A sentence per score: which changes can be told from the full method, and which cannot."""
    return [
        sentence
        for metrics in study.levels.values()
        for metric in metrics
        if (sentence := _verdict(study, metric))
    ]


def notes(study: Study) -> list[str]:
    """Computed caveats: lacking runs, one seed, one fold, many comparisons."""
    told = [
        f"{row.variant.name}: {row.cells.status}" for row in study.rows if not row.cells.complete
    ]
    full = study.rows[0].cells
    if not full.complete:
        told.append("the full method lacks runs, so no difference to it is given")
    told += spread_notes(full)
    told.append(
        f"{len(study.rows) - 1} rows are compared with the full method and intervals are not "
        "corrected for their number: about one in twenty excludes zero by chance"
    )
    return told


def grid_words(cells: BoardRow) -> str:
    """``5 folds, 3 seeds``."""
    seeds, folds = (len({cell[i] for cell in cells.asked}) for i in (0, 1))
    return f"{folds} fold{'s' * (folds > 1)}, {seeds} seed{'s' * (seeds > 1)}"


def spread_notes(cells: BoardRow) -> list[str]:
    """Caveats of a single fold or seed."""
    told = []
    if len({fold for _, fold in cells.asked}) == 1:
        told.append("one fold: differences have no interval")
    if len({seed for seed, _ in cells.asked}) == 1:
        told.append("one seed: the spread over initialisations is unknown")
    return told


def _line(study: Study, row: StudyRow, metrics: Sequence[Score], narrow: bool) -> tuple[str, ...]:
    numbers = [] if narrow else marks(study, row, ON, OFF, "")
    for metric in metrics:
        found = study.estimate(row, metric)
        numbers += [
            mean_text(found.spread, row.cells, metric, narrow),
            difference_text(found.difference, metric),
        ]
    runs = f"{len(row.cells.done)}/{len(row.cells.asked)}"
    return (row.variant.name, *numbers, runs)


def _verdict(study: Study, metric: Score) -> str:
    found = [(row, study.estimate(row, metric).difference) for row in study.rows[1:]]
    known = [(row.variant.name, d) for row, d in found if d.low == d.low]
    if not known:
        return ""
    apart = {name: d.mean * metric.facts.better > 0 for name, d in known if d.low * d.high > 0}
    worse, better = ([n for n, up in apart.items() if up is side] for side in (False, True))
    told = [f"worse than the full method: {', '.join(worse)}"] if worse else []
    told += [f"better than the full method: {', '.join(better)}"] if better else []
    rest = len(known) - len(apart)
    told += [f"{rest} of {len(known)} rows cannot be told from the full method"] if rest else []
    return f"{metric.facts.title}: {'; '.join(told)}."
