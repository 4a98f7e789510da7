"""Computed notes on what to distrust about a board. None is written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mil_bench.base.errors import listed
from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.controls import hierarchy_notes
from mil_bench.boards.verdict import detectable_points
from mil_bench.evaluation.metrics import PRIMARY
from mil_bench.evaluation.scores import Scores

FEW_PATIENTS = FEW_SLIDES = 200
FEW_FOLDS = 10
_KINDS = {
    "simulated": "the data are simulated: they test the pipeline, not which method is better on "
    "slides",
    "embedded": "the data are for testing; they are not slides of patients",
}


def caveats_of(analysis: Analysis) -> tuple[Note, ...]:
    """List what to distrust, the worst first: leaks, then what limits every comparison.

    Then follow the kind of data, rows that cannot be compared or are at chance, the hierarchy, and
    the notes of the board itself.
    """
    board = analysis.board
    # Leaks first: they make every number too high.
    leaks = [note for note in board.notes if note.kind == "leak"]
    others = [note for note in board.notes if note.kind != "leak"]
    return (
        *leaks,
        *_kind(board),
        *_patients(analysis),
        *_own_tests(board),
        *_retraining(board),
        *(() if board.study or board.site else hierarchy_notes(analysis)),
        *_apart(analysis),
        *_chance(analysis),
        *others,
    )


def _kind(board: Board) -> Iterator[Note]:
    if board.id.kind in _KINDS:
        yield Note("data", _KINDS[board.id.kind])


def _own_tests(board: Board) -> Iterator[Note]:
    """Transferred rows whose models' own tests are not at hand."""
    if board.id.trained_on and len(board.own_tests) < len(board.rows):
        absent = [row.label for row in board.rows if row.label not in board.own_tests]
        text = f"no drop is shown for {listed(absent)}: the runs of their models are not here"
        yield Note("coverage", text)


def _patients(analysis: Analysis) -> Iterator[Note]:
    """How many patients, and what is too small to be detected among them."""
    board = analysis.board
    if analysis.refusal and board.scores:
        yield Note("patients", f"no intervals: {analysis.refusal}")
    elif not analysis.refusal and board.groups < FEW_PATIENTS:
        smallest = detectable_points(analysis)
        if smallest:
            of = "patients" if board.patients_known else "slides"
            yield Note(
                "patients",
                f"{board.groups} {of} are tested: differences below {smallest} points of balanced "
                "accuracy are not detectable",
            )


def _retraining(board: Board) -> Iterator[Note]:
    """The caveat about retraining with few folds."""
    folds = len({fold for row in board.rows for _, fold in row.done})
    if folds == 1:
        yield Note(
            "training",
            "intervals and tiers describe these trained models on new patients. One fold does not "
            "assess retraining",
        )
    elif folds > 1 and not _sizes_known(board):
        yield Note(
            "training",
            "intervals and tiers describe these trained models on new patients. Retraining is not "
            "assessed, because the sizes of the training sets are unknown",
        )
    elif 1 < folds < FEW_FOLDS:
        table = "ablation" if board.study else "pairs"
        if board.study and board.study.settings:
            table = "sensitivity"
        yield Note(
            "training",
            f"retraining is assessed from {folds} folds, which detect only large differences "
            f"(table {table})",
        )


def _sizes_known(board: Board) -> bool:
    """Whether any run says how many slides it was trained and tested on."""
    results = (run.result for row in board.rows for run in row.done.values())
    return any(r is not None and r.test_share == r.test_share for r in results)


def _apart(analysis: Analysis) -> Iterator[Note]:
    """Complete rows that predict other slides than the rest."""
    complete = {row.label for row in analysis.board.rows if row.complete}
    for label, why in analysis.unpaired.items():
        if label in complete:
            yield Note("comparison", f"{label} is not compared with the others: {why}")


def _chance(analysis: Analysis) -> Iterator[Note]:
    """Rows whose interval contains what guessing reaches, one in as many as classes are tested."""
    scores = next(iter(analysis.board.scores), None)
    if scores is None:
        return
    # Classes that the first run tests.
    chance = 1 / sum(at == LEAF and slides > 0 for (at, _), (slides, _) in scores.support.items())
    low = [name for name, s in analysis.of_score(RANKED).items() if s.low <= chance]
    if low:
        verb, metric = "is" if len(low) == 1 else "are", PRIMARY.replace("_", " ")
        text = f"{listed(low)} {verb} not significantly above chance ({metric} {100 * chance:.1f})"
        yield Note("comparison", text)


def notes_of(rows: Sequence[BoardRow]) -> tuple[Note, ...]:
    """Note what the runs say: leaks, trees, data, test sets, searches, seeds and missing runs."""
    done = [record for row in rows for record in row.done.values()]
    return (
        *_split(done),
        *_extractions(rows),
        *_trees(rows),
        *_missing_features(done),
        *_copies(rows),
        *_test_sets(done),
        *_searches(rows),
        *_grid(rows),
        *_labels(done),
    )


def _split(done: Sequence[RunRecord]) -> list[Note]:
    results = [record.result for record in done if record.result is not None]
    # Every note once.
    return list(dict.fromkeys(note for result in results for note in result.split_notes))


def _trees(rows: Sequence[BoardRow]) -> Iterator[Note]:
    """Whether runs were trained with another tree than they are scored under."""
    runs = [(row.label, run) for row in rows for run in row.done.values()]
    own = {run.spec.tree["name"] for _, run in runs if run.spec is not None}
    trained = sorted({run.trained_tree for _, run in runs} - own - {""})
    if trained:
        text = f"scored under another tree than trained with ({', '.join(trained)})"
        lost = sorted({f"{v} of {label}" for label, run in runs for v in run.lost_heads})
        if lost:
            text += f"; heads of other levels are left out: {', '.join(lost)}"
        yield Note("hierarchy", text)


def _missing_features(done: Sequence[RunRecord]) -> Iterator[Note]:
    gone = {slide for record in done if record.result for slide in record.result.missing}
    if gone:
        yield Note("data", f"{len(gone)} labelled slides have no features and are left out")


def _test_sets(done: Sequence[RunRecord]) -> Iterator[Note]:
    by_fold: dict[int, Scores] = {r.cell[1]: r.scores for r in done if r.scores is not None}
    if not by_fold:
        return
    if not any(scores.patients_known for scores in by_fold.values()):
        yield Note(
            "patients",
            "patients are unknown: each slide counts as one patient, so intervals may be too "
            "narrow",
        )
    smallest = min(len(s.slides) for s in by_fold.values())
    if smallest < FEW_SLIDES:
        yield Note(
            "patients",
            f"the smallest test set has {smallest} slides: one slide is {100 / smallest:.1f} "
            "points of accuracy",
        )
    for fold, scores in sorted(by_fold.items()):
        absent = [
            name for (at, name), (slides, _) in scores.support.items() if at == LEAF and not slides
        ]
        if absent:
            text = f"fold {fold} tests no slide of {', '.join(absent)}: undefined there"
            yield Note("data", text)


def _copies(rows: Sequence[BoardRow]) -> Iterator[Note]:
    """Runs that several bundles hold, with predictions of several machines."""
    labels = [row.label for row in rows if any(r.differing_copy for r in row.done.values())]
    if labels:
        yield Note(
            "data",
            f"runs of {listed(labels)} are in several bundles with different predictions; the "
            "first counts",
        )


def _extractions(rows: Sequence[BoardRow]) -> Iterator[Note]:
    """Rows on features that were extracted separately, and how much these differ."""
    apart = {row.label: r.deviation for row in rows for r in row.done.values() if r.extraction}
    if apart:
        deviation = 100 * max(apart.values())
        yield Note(
            "data",
            f"features of {listed(list(apart))} were extracted separately and are about equal to "
            f"those of the other rows (largest deviation {deviation:.2g} % of their spread)",
        )


def _labels(done: Sequence[RunRecord]) -> Iterator[Note]:
    if any(record.labels == "not verified" for record in done):
        yield Note(
            "data",
            "labels not verified: pass --dataset and --data-root to compare them with the dataset",
        )


def _searches(rows: Sequence[BoardRow]) -> Iterator[Note]:
    """Whether every method was searched, with the same budget, without looking at test slides."""
    tuned = [(row, row.tuning) for row in rows if row.tuning is not None]
    if not tuned:
        return
    budgets = {row.label: sorted(set(t.budgets)) for row, t in tuned}
    if len({n for ns in budgets.values() for n in ns}) > 1:
        each = ", ".join(f"{name} {'-'.join(map(str, ns))}" for name, ns in sorted(budgets.items()))
        yield Note("tuning", f"tuning budgets differ, in trials per search: {each}")
    if len({t.objective for _, t in tuned}) > 1:
        yield Note("tuning", "searches had different objectives, see tuned_for")
    pruned = sorted(row.label for row, t in tuned if t.pruned)
    if pruned:
        text = f"a pruner ended trials early: {', '.join(pruned)} had a smaller budget"
        yield Note("tuning", text)
    never = sorted({row.method for row in rows} - {row.method for row, _ in tuned})
    if never:
        yield Note("tuning", f"only some methods were tuned; never tuned: {', '.join(never)}")
    shared = sorted(row.label for row, t in tuned if t.shared)
    if shared:
        yield Note(
            "tuning",
            "one search chose the settings of all folds, although folds validate on each other's "
            f"test slides; these rows are optimistic: {', '.join(shared)}",
        )


def _grid(rows: Sequence[BoardRow]) -> Iterator[Note]:
    if len({seed for seed, _ in rows[0].asked}) == 1:  # all rows of a board have the same cells
        yield Note("training", "one seed: the spread over initialisations is unknown")
    incomplete = [row.label for row in rows if not row.complete]
    if incomplete and not rows[0].name:  # rows of an ablation keep their order
        yield Note(
            "coverage",
            f"{len(incomplete)} of {len(rows)} rows have missing runs and are below the complete "
            f"ones: {', '.join(incomplete)}",
        )
