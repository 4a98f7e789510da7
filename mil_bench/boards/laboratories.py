"""Runs on other features of the same cohort: each method against abmil on its own features.

Methods on features of two encoders, or of two tilings, have no common rank: their scores differ by
features first. Laboratories share how far a method is above or below a reference that each of
them has trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board, BoardId, BoardRow
from mil_bench.boards.extractions import SHORT
from mil_bench.boards.report import Report
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.pairs import (
    DIFFERENCE,
    Pair,
    compare_pairs,
    corrected,
    difference_cells,
)
from mil_bench.boards.tables.table import Cell, Number, Row, Table

NAME = "laboratories"
ANCHOR = "abmil"
_KEYS = ("features", "method")
_SHOWN = (*_KEYS, "difference", "p_holm", "refits", "p_refits", "decision", "anchor")
_TITLE = f"Other features: difference to {ANCHOR} on the same features"
_NOTE = (
    f"Balanced accuracy of a method minus that of {ANCHOR} on the same features, paired over "
    "patients. Rows of different features have no common rank. Holm's correction is over all rows "
    "of this table"
)


def with_laboratories(reports: Sequence[Report]) -> list[Report]:
    """Return the reports; those of one cohort with several features have a table of all of them.

    Features that are about equal share a board already
    (:mod:`~mil_bench.boards.extractions`).
    """
    cohorts: dict[BoardId, list[Report]] = defaultdict(list)
    for report in reports:
        cohorts[_cohort(report.board)].append(report)
    return [_with_table(report, cohorts[_cohort(report.board)]) for report in reports]


def _cohort(board: Board) -> BoardId:
    """What laboratories share: the dataset, its tree and the name of the split."""
    # What differs between laboratories of one cohort.
    unknown = {"features_digest": "", "labels_digest": "", "split_digest": "", "encoder": ""}
    if board.study is not None or board.site is not None or board.id.features_digest == "":
        return board.id
    return replace(board.id, **unknown)


def _with_table(report: Report, cohort: Sequence[Report]) -> Report:
    own = report.board.id.features_digest
    others = [r.analysis for r in cohort if r.board.id.features_digest != own]
    if not others:
        return report
    table = laboratories_table(report.analysis, others)
    return replace(report, tables=(*report.tables, table))


def laboratories_table(analysis: Analysis, others: Sequence[Analysis]) -> Table:
    """Return a row per method of this board, then of every other one, against its own anchor."""
    laboratories = [Laboratory.of(each, analysis.board) for each in (analysis, *others)]
    # Holm over the pairs of all laboratories, then dealt out again in order.
    pairs = iter(corrected([pair for laboratory in laboratories for pair in laboratory.pairs]))
    rows = [row for laboratory in laboratories for row in _rows(laboratory, pairs)]
    every = columns(*_KEYS, *DIFFERENCE, "anchor", "remark", table=NAME)
    shown = (*_SHOWN, *(("remark",) if any(row["remark"] for row in rows) else ()))
    return Table(NAME, _TITLE, every, tuple(rows), _KEYS, shown, _NOTE, sections="features")


@dataclass(frozen=True)
class Laboratory:
    """One board among those of a cohort: its pairs with the anchor, and what limits them.

    ``anchor`` is its row, ``None`` where there is none that can be compared.
    """

    analysis: Analysis
    anchor: BoardRow | None
    pairs: tuple[Pair, ...]
    remark: str

    @classmethod
    def of(cls, analysis: Analysis, reference: Board) -> Laboratory:
        """Compare the rows of a board with its anchor; ``reference`` is the board that shows it."""
        anchors = [r for r in analysis.comparable if r.method == ANCHOR and not r.control]
        # The default settings have the shortest label.
        anchor = min(anchors, key=lambda row: len(row.label), default=None)
        labels = [label for label in analysis.paired if anchor and label != anchor.label]
        wanted = [(label, anchor.label) for label in labels] if anchor else []
        pairs = tuple(compare_pairs(analysis, RANKED, wanted))
        lacking = _lacking(analysis, anchor, pairs)
        remarks = [lacking, *_differences(analysis.board, reference)]
        return cls(analysis, anchor, pairs, "; ".join(filter(None, remarks)))

    @property
    def features(self) -> str:
        """``uni (3fa9c1)``: the encoder and the digest of the features."""
        i = self.analysis.board.id
        return f"{i.encoder} ({i.features_digest[:SHORT]})"


def _lacking(analysis: Analysis, anchor: BoardRow | None, pairs: Sequence[Pair]) -> str:
    """Why a laboratory has no differences, or ``""``."""
    if analysis.refusal:
        return analysis.refusal.rstrip(".")
    if anchor is None:
        return f"no complete {ANCHOR} on these features; run it to compare"
    return "" if pairs else f"{anchor.label} is the only complete row"


def _differences(board: Board, reference: Board) -> Iterator[str]:
    """What of the test differs between two laboratories, besides the features."""
    slides, of_reference = _slides(board), _slides(reference)
    if slides != of_reference:  # other labels are seen only on the same slides
        yield f"{len(slides & of_reference)} of {len(slides)} test slides are in both"
    if board.id.labels_digest != reference.id.labels_digest and slides == of_reference:
        yield "other labels or patients"
    if board.id.split_digest != reference.id.split_digest:
        yield "other folds"


def _slides(board: Board) -> frozenset[str]:
    return frozenset[str]().union(*(scores.slides for scores in board.scores))


def _rows(laboratory: Laboratory, pairs: Iterator[Pair]) -> Iterator[Row]:
    """A row per pair, taken from the corrected ``pairs`` of all; one that says why without any."""
    analysis, anchor = laboratory.analysis, laboratory.anchor
    value = anchor.spread(RANKED).mean if anchor is not None else float("nan")
    common: dict[str, Cell] = {
        "features": laboratory.features,
        "anchor": Number(value) if anchor is not None else None,
        "remark": laboratory.remark,
    }
    for _ in laboratory.pairs:
        pair = next(pairs)
        cells = common | {"method": pair.a} | difference_cells(analysis, pair)
        yield Row(pair.a, cells, RANKED)
    if not laboratory.pairs:
        name = anchor.label if anchor is not None else ""
        yield Row(name, common | {"method": name}, RANKED)
