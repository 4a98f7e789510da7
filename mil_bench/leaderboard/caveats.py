"""What to distrust about a board: sentences computed from its runs and its patients."""

from __future__ import annotations

from mil_bench.evaluation.metrics_table import PRIMARY
from mil_bench.leaderboard.analysis import RANKED, Analysis
from mil_bench.leaderboard.board import Board
from mil_bench.leaderboard.controls.words import hierarchy_caveats
from mil_bench.leaderboard.verdict import listed

FEW_PATIENTS = 200
FEW_FOLDS = 10
_KINDS = {
    "simulated": "the data are simulated: they show that the pipeline works, not which method is "
    "better on slides",
    "embedded": "the data are made for trials, not from slides of patients",
}


def caveats_of(analysis: Analysis) -> tuple[str, ...]:
    """Leaks first, then the kind of data, patients, trainings, rows that cannot be compared."""
    board = analysis.board
    leaks = [note for note in board.notes if note.startswith("leak")]
    others = [note for note in board.notes if note not in leaks]
    kind = [_KINDS[board.id.kind]] if board.id.kind in _KINDS else []
    found = (
        _patients(analysis),
        _trainings(board),
        hierarchy_caveats(analysis),
        _apart(analysis),
        _chance(analysis),
    )
    return (*leaks, *kind, *(note for notes in found for note in notes), *others)


def _patients(analysis: Analysis) -> list[str]:
    """How many patients, and what is too small to be seen among them."""
    if analysis.refusal:
        return [f"no intervals: {analysis.refusal}"] if analysis.board.scores else []
    number, smallest = analysis.board.groups, analysis.detectable(RANKED)
    if number >= FEW_PATIENTS or smallest != smallest:
        return []
    known = not all(g.startswith("slide:") for s in analysis.board.scores for g in s.groups)
    return [
        f"{number} {'patients' if known else 'slides'} are tested: differences below "
        f"{100 * smallest:.1f} points of balanced accuracy are likely to go unseen"
    ]


def _trainings(board: Board) -> list[str]:
    """Intervals are over patients; what is known of other trainings."""
    if not board.scores:
        return []
    folds = len({fold for row in board.rows for _, fold in row.done})
    told = "intervals and tiers are over patients and speak of these trained models"
    if folds == 1:
        return [f"{told}; one fold says nothing of models trained on other slides"]
    if folds < FEW_FOLDS:
        told += f"; training anew is judged from {folds} folds, so only large differences are seen"
    return [f"{told} (table pairs)"]


def _apart(analysis: Analysis) -> list[str]:
    """Complete rows that predict other slides than the rest; incomplete ones are told already."""
    complete = {row.label for row in analysis.board.rows if row.complete}
    return [
        f"{label} is not compared with the others: {why}"
        for label, why in analysis.unpaired.items()
        if label in complete
    ]


def _chance(analysis: Analysis) -> list[str]:
    """Rows whose interval holds what guessing reaches, one in as many as classes are tested."""
    first = next((scores for scores in analysis.board.scores), None)
    if first is None:
        return []
    tested = [c for c in first.classes if c.level == "leaf" and c.support]
    chance = 1 / len(tested)
    low = [name for name, s in analysis.of_score(RANKED).items() if s.low <= chance]
    if not low:
        return []
    verb = "is" if len(low) == 1 else "are"
    return [
        f"{listed(low)} {verb} not above chance ({PRIMARY.replace('_', ' ')} {100 * chance:.1f})"
    ]
