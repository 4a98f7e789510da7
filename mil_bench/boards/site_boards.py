"""Boards of site reports: a separate kind, beside no other, with the draws of the site."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mil_bench.base.errors import listed
from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import Board, BoardId, BoardRow, SiteEvidence
from mil_bench.boards.collect import RunRecord, RunResult
from mil_bench.boards.notes import notes_of
from mil_bench.contract.spec import Experiment
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.site_report import SiteReport, SiteRow, same_site

EVIDENCE = "site report"


def boards_of_reports(reports: Iterable[SiteReport]) -> list[Board]:
    """Return a board per site and cohort; reports of equal data and draws are on one board."""
    sites: list[list[SiteReport]] = []
    for report in reports:
        # Reports of one site share its key, so their digests are comparable.
        known = next((site for site in sites if same_site(site[0], report)), None)
        if known is None:
            sites.append([report])
        else:
            known.append(report)
    return [_board(site) for site in sites]


def _board(site: Sequence[SiteReport]) -> Board:
    first = site[0]
    tree = first.taxonomy
    rows: dict[str, BoardRow] = {}
    drawn: dict[str, Mapping[Score, ScoreReplicates]] = {}
    for report in site:
        for stated in report.rows:
            row = _row(report, stated)
            if row.label not in rows:  # the first report of a row stands
                rows[row.label] = row
                drawn[row.label] = _replicates(report, stated, row)
    counts = {c.name: (c.slides, c.patients) for c in first.classes}
    ordered = tuple(sorted(rows.values(), key=lambda row: (row.rank_key, row.label)))
    return Board(
        _board_id(first, tree),
        tree,
        ordered,
        (*_notes(first), *notes_of(ordered)),
        site=SiteEvidence(drawn, counts),
    )


def _board_id(report: SiteReport, tree: Taxonomy) -> BoardId:
    return BoardId(
        EVIDENCE,
        report.dataset,
        report.encoder,
        tree.name,
        report.split,
        tree.digest(),
        report.split_id,
        report.data,
        report.features,
    )


def _row(report: SiteReport, stated: SiteRow) -> BoardRow:
    asked = tuple((cell.seed, cell.fold) for cell in stated.cells)
    folds = {fold.fold: fold for fold in report.folds}
    slides = _anonymous(report.slides, {f.fold: f.slides for f in report.folds})
    patients = _anonymous(report.patients, {f.fold: f.patients for f in report.folds})
    # One of each says that there are some, for the level of chance; the board has the numbers.
    support = dict.fromkeys(_present(report), (1, 1))
    runs = {}
    for cell in stated.cells:
        values = {
            score: math.nan if value is None else value
            for score, value, draws in zip(
                report.score_list, cell.values, stated.draws, strict=True
            )
            if draws
        }
        scores = Scores(
            values, support, slides[cell.fold], patients[cell.fold], report.patients_known
        )
        fold = folds[cell.fold]
        result = RunResult(key="", n_test=fold.slides, n_train=fold.train_slides or None)
        spec = Experiment(
            evidence=EVIDENCE,
            dataset=report.dataset,
            kind=report.data_kind,
            labels_digest=report.data,
            tree=report.tree,
            split=report.split,
            split_digest=report.split_id,
            fold=cell.fold,
            encoder=report.encoder,
            dim=report.dim,
            features_digest=report.features,
            method=stated.method,
            method_version=stated.method_version,
            seed=cell.seed,
        )
        path = Path(EVIDENCE, f"seed-{cell.seed}-fold-{cell.fold}")
        runs[cell.seed, cell.fold] = RunRecord(
            path, "done", "", spec, result, report.mil_bench, {}, scores
        )
    return BoardRow(stated.method, stated.variant, stated.settings, runs, asked, stated.role)


def _present(report: SiteReport) -> list[tuple[str, str]]:
    """Level and class of all classes that are tested."""
    tree = report.taxonomy
    leaves = [i for i, c in enumerate(report.classes) if c.slides != 0]
    return [
        (level, tree.classes[level][k])
        for level in tree.levels
        for k in sorted({tree.ancestor_index(level)[i] for i in leaves})
    ]


def _anonymous(total: int, by_fold: Mapping[int, int]) -> dict[int, frozenset[str]]:
    """As many made-up ids per fold as it has, of ``total`` in all as far as the folds reach."""
    ids: dict[int, frozenset[str]] = {}
    start = 0
    for fold, n in by_fold.items():
        # % total: more slides in folds than there are: repeated.
        ids[fold] = frozenset(str((start + i) % total) for i in range(n))
        start += n
    return ids


def _replicates(report: SiteReport, stated: SiteRow, row: BoardRow) -> dict[Score, ScoreReplicates]:
    return {
        score: ScoreReplicates(row.spread(score).mean, draws, report.freedom)
        for score, draws in report.draws(stated).items()
    }


def _notes(report: SiteReport) -> list[Note]:
    notes = [
        Note(
            "data",
            "these numbers are those of a site report: they cannot be recomputed, because the "
            "predictions stay at the site",
        )
    ]
    hidden = [c.name for c in report.classes if c.slides is None]
    if hidden:
        notes.append(Note("data", f"counts and scores of {listed(hidden)} are suppressed"))
    if report.data_kind != "real":
        notes.append(Note("data", f"the data are {report.data_kind}: no slides of patients"))
    if report.leaky:
        notes.append(Note("leak", "patients are in several sets of a fold"))
    return notes
