"""From a board to a site report, which leaves the house without predictions.

The draws of patients are keyed. Draws that anyone can repeat would make every replicate an
equation in the results of single patients, and 2,000 of them a system with one solution.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256

from mil_bench.base.errors import DataError, listed
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.base.version import __version__
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import Board, BoardRow
from mil_bench.evaluation.inference.resampling import REPLICATES
from mil_bench.evaluation.metrics import Score
from mil_bench.exchange.disclosure import FEWEST_IN_CLASS, check_patients, rare, suppressed
from mil_bench.exchange.site_report import (
    ClassCount,
    FoldCount,
    SiteCell,
    SiteReport,
    SiteRow,
    packed,
    unit_of,
)

_OF_CLASSES = ("auc", "sensitivity", "specificity")
_DIGITS = 16


def site_report_of(
    board: Board, key: bytes, *, suppress_rare: bool = False, replicates: int = REPLICATES
) -> SiteReport:
    """Return what a site may say of its board; ``key`` stays with the site.

    Rows that cannot be compared are left out. Raises ``DataError`` for too few patients, and for
    rare classes unless they are to be suppressed.
    """
    # Seeded by the key: without it no one can repeat the draws.
    analysis = Analysis.of(board, replicates, seed=_seed(key, board))
    rows = analysis.comparable
    if analysis.resampling is None or board.taxonomy is None or not rows:
        raise DataError(
            f"{board.title}: {analysis.refusal or 'no row has a result in every cell'}; a site "
            "report requires complete rows."
        )
    tree, runs = board.taxonomy, rows[0].done
    # reverse: the lowest seed of a fold is written last.
    per_fold = {fold: runs[seed, fold].scores for seed, fold in sorted(runs, reverse=True)}
    by_fold = {fold: scores for fold, scores in sorted(per_fold.items()) if scores is not None}
    check_patients(board.groups, {fold: len(s.groups) for fold, s in by_fold.items()})
    patients = {level: _patients(rows[0], tree, level) for level in tree.levels}
    # Upper classes, too: their difference to the shown ones would tell a hidden one.
    hidden = {(level, name) for level, counts in patients.items() for name in suppressed(counts)}
    few = rare(patients[LEAF])
    if hidden and not suppress_rare:
        raise DataError(
            f"classes of fewer than {FEWEST_IN_CLASS} patients: {listed(few)}. Pass "
            "--suppress-rare to hide their counts and scores (docs/site-reports.md says what "
            "remains visible), or leave them out of the cohort."
        )
    scores = [s for s in _scores(analysis, rows) if (s.level, s.name) not in hidden]
    drawn = [[analysis.scores[row.label].get(score) for row in rows] for score in scores]
    # One unit for all rows: their replicates are subtracted.
    units = [unit_of([d.draws for d in of_score if d is not None]) for of_score in drawn]
    slides = _slides(rows[0], tree)
    return SiteReport(
        mil_bench=__version__,
        dataset=board.id.dataset,
        data_kind=board.id.kind,
        encoder=board.id.encoder,
        dim=max((r.spec.dim for r in runs.values() if r.spec), default=0),
        tree=tree.to_dict(),
        split=board.id.split,
        leaky=board.leaky,
        patients_known=board.patients_known,
        data=_keyed(key, "labels", board.id.labels_digest),
        split_id=_keyed(key, "split", board.id.split_digest),
        features=_keyed(key, "features", board.id.features_digest),
        draws_id=_keyed(key, "draws", *analysis.resampling.patients, str(replicates)),
        slides=board.slides,
        patients=board.groups,
        freedom=analysis.resampling.freedom,
        classes=tuple(
            ClassCount(
                name=name,
                slides=None if (LEAF, name) in hidden else slides[name],
                patients=None if (LEAF, name) in hidden else patients[LEAF][name],
            )
            for name in tree.leaves
        ),
        folds=tuple(
            FoldCount(
                fold=fold,
                slides=len(s.slides),
                patients=len(s.groups),
                train_slides=_train_slides(rows[0], fold),
            )
            for fold, s in by_fold.items()
        ),
        scores=tuple(scores),
        units=tuple(units),
        replicates=replicates,
        rows=tuple(
            _site_row(
                row,
                scores,
                [
                    "" if (d := of_score[i]) is None else packed(d.draws, unit)
                    for of_score, unit in zip(drawn, units, strict=True)
                ],
            )
            for i, row in enumerate(rows)
        ),
    )


def _scores(analysis: Analysis, rows: Sequence[BoardRow]) -> list[Score]:
    """The scores of all slides that boards show, and few of classes."""
    every = dict.fromkeys(score for row in rows for score in analysis.scores[row.label])
    return [s for s in every if (s.metric in _OF_CLASSES if s.name else s.on_boards)]


def _site_row(row: BoardRow, scores: Sequence[Score], draws: Sequence[str]) -> SiteRow:
    values = {score: row.values(score) for score in scores}
    versions = {r.spec.method_version for r in row.done.values() if r.spec is not None}
    return SiteRow(
        method=row.method,
        method_version="; ".join(sorted(versions)),
        variant=row.variant,
        role=row.role,
        settings=row.settings,
        cells=tuple(
            SiteCell(
                seed=seed, fold=fold, values=[_defined(values[s].get((seed, fold))) for s in scores]
            )
            for seed, fold in sorted(row.done)
        ),
        draws=draws,
    )


def _defined(value: float | None) -> float | None:
    return None if value is None or value != value else value  # JSON has no nan


def _patients(row: BoardRow, tree: Taxonomy, level: str) -> dict[str, int]:
    """Distinct patients of every class of a level, over all test sets."""
    return {
        name: len({g for p in row.predictions.values() for g in p.groups[p.truth(level) == k]})
        for k, name in enumerate(tree.classes[level])
    }


def _slides(row: BoardRow, tree: Taxonomy) -> dict[str, int]:
    """Distinct slides of every leaf."""
    return {
        name: len({s for p in row.predictions.values() for s in p.slide_ids[p.labels == k]})
        for k, name in enumerate(tree.leaves)
    }


def _train_slides(row: BoardRow, fold: int) -> int:
    results = [r.result for (_, at), r in row.done.items() if at == fold and r.result]
    return max((r.n_train or 0 for r in results), default=0)


def _keyed(key: bytes, *parts: str) -> str:
    """A digest that means nothing without the key."""
    text = "\n".join(parts).encode()
    # Half of SHA-256: enough against chance.
    return hmac.new(key, text, sha256).hexdigest()[:_DIGITS]


def _seed(key: bytes, board: Board) -> int:
    text = f"draws of patients\n{board.id.labels_digest}".encode()
    return int.from_bytes(hmac.new(key, text, sha256).digest())
