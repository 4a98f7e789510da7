"""Computed caveats of a board. None is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.base.notes import Note
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.controls import hierarchy_caveats
from mil_bench.boards.verdict import listed
from mil_bench.evaluation.metrics import PRIMARY
from mil_bench.evaluation.scores import Scores

FEW_SLIDES = 200


def notes_of(rows: Sequence[BoardRow]) -> tuple[Note, ...]:
    """Return notes on leaks of the split, the data, the test sets, the searches and the spread."""
    done = [record for row in rows for record in row.done.values()]
    data = (*_split(done), *_trees(rows), *_missing(done), *_test_sets(done))
    return (*data, *_searches(rows), *_grid(rows))


def _split(done: Sequence[RunRecord]) -> list[Note]:
    results = [record.result for record in done if record.result is not None]
    return list(dict.fromkeys(note for result in results for note in result.split_notes))


def _trees(rows: Sequence[BoardRow]) -> list[Note]:
    """Whether runs were trained with another tree than they are scored under."""
    runs = [(row.label, run) for row in rows for run in row.done.values()]
    own = {run.spec.tree["name"] for _, run in runs if run.spec is not None}
    trained = sorted({run.trained_tree for _, run in runs} - own - {""})
    if not trained:
        return []
    text = f"scored under another tree than trained with ({', '.join(trained)})"
    heads = sorted({f"{v} of {label}" for label, run in runs for v in run.lost_heads})
    if heads:
        text += f"; heads without a place in it are left out: {', '.join(heads)}"
    return [Note("hierarchy", text)]


def _missing(done: Sequence[RunRecord]) -> list[Note]:
    slides = {slide for record in done if record.result for slide in record.result.missing}
    text = f"{len(slides)} labelled slides have no features and are left out"
    return [Note("data", text)] if slides else []


def _test_sets(done: Sequence[RunRecord]) -> list[Note]:
    by_fold: dict[int, Scores] = {r.cell[1]: r.scores for r in done if r.scores is not None}
    if not by_fold:
        return []
    notes = []
    if not any(scores.patients_known for scores in by_fold.values()):
        text = (
            "patients are unknown: every slide counts as one patient, so intervals may be too "
            "narrow"
        )
        notes.append(Note("patients", text))
    smallest = min(len(s.slides) for s in by_fold.values())
    if smallest < FEW_SLIDES:
        text = (
            f"the smallest test set has {smallest} slides; one slide is "
            f"{100 / smallest:.1f} points of accuracy"
        )
        notes.append(Note("patients", text))
    for fold, scores in sorted(by_fold.items()):
        absent = [name for (at, name), n in scores.support.items() if at == LEAF and n == (0, 0)]
        if absent:
            text = f"fold {fold} tests no slide of {', '.join(absent)}: undefined there"
            notes.append(Note("split", text))
    return notes


def _searches(rows: Sequence[BoardRow]) -> list[Note]:
    """Whether every method was searched, with the same budget, without looking at test slides."""
    tuned = [(row, row.tuning) for row in rows if row.tuning is not None]
    if not tuned:
        return []
    texts = []
    budgets = {row.label: sorted(set(t.budgets)) for row, t in tuned}
    if len({n for ns in budgets.values() for n in ns}) > 1:
        trials = [f"{name} {'-'.join(map(str, ns))}" for name, ns in sorted(budgets.items())]
        texts.append(f"tuning budgets differ, in trials per search: {', '.join(trials)}")
    if len({t.objective for _, t in tuned}) > 1:
        texts.append("searches had different objectives, see tuned_for")
    pruned = sorted(row.label for row, t in tuned if t.pruned)
    if pruned:
        texts.append(f"a pruner ended trials early: {', '.join(pruned)} had a smaller budget")
    never = sorted({row.method for row in rows} - {row.method for row, _ in tuned})
    if never:
        texts.append(f"only some methods were tuned; never tuned: {', '.join(never)}")
    shared = sorted(row.label for row, t in tuned if "shared" in t.role)
    if shared:
        texts.append(
            "one search chose the settings of all folds, although folds validate on each other's "
            f"test slides, so these rows are optimistic: {', '.join(shared)}"
        )
    return [Note("tuning", text) for text in texts]


def _grid(rows: Sequence[BoardRow]) -> list[Note]:
    asked = rows[0].asked
    notes = []
    if len({seed for seed, _ in asked}) == 1:
        notes.append(Note("training", "one seed: the spread over initialisations is unknown"))
    incomplete = [row.label for row in rows if not row.complete]
    if incomplete:
        text = (
            f"{len(incomplete)} of {len(rows)} rows lack cells and stand below the complete ones: "
            f"{', '.join(incomplete)}"
        )
        notes.append(Note("coverage", text))
    return notes


# What to distrust about a board: sentences computed from its runs and its patients.

FEW_PATIENTS = 200
FEW_FOLDS = 10
_KINDS = {
    "simulated": "the data are simulated: they show that the pipeline works, not which method is "
    "better on slides",
    "embedded": "the data are made for trials, not from slides of patients",
}


def caveats_of(analysis: Analysis) -> tuple[Note, ...]:
    """Return leaks, then the kind of data, patients, trainings, rows that cannot be compared."""
    board = analysis.board
    leaks = [note for note in board.notes if note.kind == "leak"]
    others = [note for note in board.notes if note.kind != "leak"]
    kind = [Note("data", _KINDS[board.id.kind])] if board.id.kind in _KINDS else []
    computed = (
        _patients(analysis),
        _trainings(board),
        [Note("hierarchy", text) for text in hierarchy_caveats(analysis)],
        _apart(analysis),
        _chance(analysis),
    )
    return (*leaks, *kind, *(note for notes in computed for note in notes), *others)


def _patients(analysis: Analysis) -> list[Note]:
    """How many patients, and what is too small to be seen among them."""
    if analysis.refusal:
        note = Note("patients", f"no intervals: {analysis.refusal}")
        return [note] if analysis.board.scores else []
    number, smallest = analysis.board.groups, analysis.detectable(RANKED)
    if number >= FEW_PATIENTS or smallest != smallest:
        return []
    known = any(scores.patients_known for scores in analysis.board.scores)
    text = (
        f"{number} {'patients' if known else 'slides'} are tested: differences below "
        f"{100 * smallest:.1f} points of balanced accuracy are likely to go unseen"
    )
    return [Note("patients", text)]


def _trainings(board: Board) -> list[Note]:
    """Intervals are over patients; what is known of other trainings."""
    if not board.scores:
        return []
    folds = len({fold for row in board.rows for _, fold in row.done})
    text = "intervals and tiers are over patients and speak of these trained models"
    if folds == 1:
        text += "; one fold says nothing of models trained on other slides"
        return [Note("training", text)]
    if folds < FEW_FOLDS:
        text += f"; training anew is judged from {folds} folds, so only large differences are seen"
    return [Note("training", f"{text} (table pairs)")]


def _apart(analysis: Analysis) -> list[Note]:
    """Complete rows that predict other slides than the rest; incomplete ones are told already."""
    complete = {row.label for row in analysis.board.rows if row.complete}
    return [
        Note("comparison", f"{label} is not compared with the others: {why}")
        for label, why in analysis.unpaired.items()
        if label in complete
    ]


def _chance(analysis: Analysis) -> list[Note]:
    """Rows whose interval holds what guessing reaches, one in as many as classes are tested."""
    first = next((scores for scores in analysis.board.scores), None)
    if first is None:
        return []
    tested = [name for (at, name), n in first.support.items() if at == LEAF and n != (0, 0)]
    chance = 1 / len(tested)
    low = [name for name, s in analysis.of_score(RANKED).items() if s.low <= chance]
    if not low:
        return []
    verb = "is" if len(low) == 1 else "are"
    score = f"{PRIMARY.replace('_', ' ')} {100 * chance:.1f}"
    return [Note("comparison", f"{listed(low)} {verb} not above chance ({score})")]
