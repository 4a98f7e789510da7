"""Computed caveats of a board. None is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.evaluation.scores import Scores
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.collect import RunRecord

FEW_SLIDES = 200


def notes_of(rows: Sequence[BoardRow]) -> tuple[str, ...]:
    """Sentences on leaks of the split, the data, the test sets, the searches and the spread."""
    done = [record for row in rows for record in row.done.values()]
    data = (*_split(done), *_trees(rows), *_missing(done), *_test_sets(done))
    return (*data, *_searches(rows), *_grid(rows))


def _split(done: Sequence[RunRecord]) -> list[str]:
    results = [record.result for record in done if record.result is not None]
    return list(dict.fromkeys(note for result in results for note in result.split_notes))


def _trees(rows: Sequence[BoardRow]) -> list[str]:
    """Whether runs were trained with another tree than they are scored under."""
    runs = [(row.label, run) for row in rows for run in row.done.values()]
    own = {run.spec.tree["name"] for _, run in runs if run.spec is not None}
    trained = sorted({run.trained_tree for _, run in runs} - own - {""})
    if not trained:
        return []
    told = f"scored under another tree than trained with ({', '.join(trained)})"
    lost = sorted({f"{v} of {label}" for label, run in runs for v in run.lost_heads})
    return [
        f"{told}; heads without a place in it are left out: {', '.join(lost)}" if lost else told
    ]


def _missing(done: Sequence[RunRecord]) -> list[str]:
    gone = {slide for record in done if record.result for slide in record.result.missing}
    return [f"{len(gone)} labelled slides have no features and are left out"] if gone else []


def _test_sets(done: Sequence[RunRecord]) -> list[str]:
    by_fold: dict[int, Scores] = {r.cell[1]: r.scores for r in done if r.scores is not None}
    if not by_fold:
        return []
    notes = []
    groups = frozenset().union(*(s.groups for s in by_fold.values()))
    if all(group.startswith("slide:") for group in groups):
        notes.append(
            "no patient is known, so every slide counts as a patient of its own and intervals may "
            "be too narrow"
        )
    smallest = min(len(s.slides) for s in by_fold.values())
    if smallest < FEW_SLIDES:
        notes.append(
            f"the smallest test set has {smallest} slides; one slide is "
            f"{100 / smallest:.1f} points of accuracy"
        )
    for fold, scores in sorted(by_fold.items()):
        absent = [c.name for c in scores.classes if c.level == "leaf" and c.support == 0]
        if absent:
            notes.append(f"fold {fold} tests no slide of {', '.join(absent)}: undefined there")
    return notes


def _searches(rows: Sequence[BoardRow]) -> list[str]:
    """Whether every method was searched, with the same budget, without looking at test slides."""
    tuned = [(row, row.tuning) for row in rows if row.tuning is not None]
    if not tuned:
        return []
    notes = []
    budgets = {row.label: sorted(set(t.budgets)) for row, t in tuned}
    if len({n for ns in budgets.values() for n in ns}) > 1:
        told = ", ".join(f"{name} {'-'.join(map(str, ns))}" for name, ns in sorted(budgets.items()))
        notes.append(f"tuning budgets differ, in trials per search: {told}")
    if len({t.objective for _, t in tuned}) > 1:
        notes.append("searches had different objectives, see tuned_for")
    pruned = sorted(row.label for row, t in tuned if t.pruned)
    if pruned:
        notes.append(f"a pruner ended trials early: {', '.join(pruned)} had a smaller budget")
    never = sorted({row.method for row in rows} - {row.method for row, _ in tuned})
    if never:
        notes.append(f"only some methods were tuned; never tuned: {', '.join(never)}")
    shared = sorted(row.label for row, t in tuned if "shared" in t.role)
    if shared:
        notes.append(
            "one search chose the settings of all folds, although folds validate on each other's "
            f"test slides, so these rows are optimistic: {', '.join(shared)}"
        )
    return notes


def _grid(rows: Sequence[BoardRow]) -> list[str]:
    asked = rows[0].asked
    notes = []
    if len({seed for seed, _ in asked}) == 1:
        notes.append("one seed: the spread over initialisations is unknown")
    lacking = [row.label for row in rows if not row.complete]
    if lacking:
        notes.append(
            f"{len(lacking)} of {len(rows)} rows lack cells and stand below the complete ones: "
            f"{', '.join(lacking)}"
        )
    return notes
