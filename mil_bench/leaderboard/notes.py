"""Computed caveats of a board. None is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.evaluation.scores import Scores
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.collect import RunRecord

FEW_SLIDES = 200


def notes_of(rows: Sequence[BoardRow]) -> tuple[str, ...]:
    """Sentences on leaks and overlap of the split, the data, the test sets and the spread."""
    done = [record for row in rows for record in row.done.values()]
    return (*_split(done), *_missing(done), *_test_sets(done), *_grid(rows))


def _split(done: Sequence[RunRecord]) -> list[str]:
    results = [record.result for record in done if record.result is not None]
    return list(dict.fromkeys(note for result in results for note in result.split_notes))


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
        notes.append("no patient is known, so every slide counts as a patient of its own")
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
