"""From records to boards: who may be compared with whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mil_bench.leaderboard.board import Board, BoardId, BoardRow, Cell
from mil_bench.leaderboard.collect import RunRecord
from mil_bench.leaderboard.notes import notes_of
from mil_bench.leaderboard.variants import digest, labels, settings
from mil_bench.spec import RunSpec
from mil_bench.taxonomy import Taxonomy


def build_boards(records: Iterable[RunRecord]) -> list[Board]:
    """One board per kind x dataset x encoder x tree x split, and per content of each.

    Rows are variants of methods: runs that differ in anything but seed and fold stand apart.
    Every row is asked for all seeds and folds that occur on its board.
    """
    groups: dict[BoardId, list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[_board_of(record)].append(record)
    found = sorted(groups, key=lambda i: (i.kind, i.dataset, i.encoder, i.split, repr(i)))
    return [_board(board_id, groups[board_id]) for board_id in found]


def _board_of(record: RunRecord) -> BoardId:
    spec = record.spec
    if spec is None:
        return BoardId("unreadable", record.path.parent.parent.name)
    tree = Taxonomy.from_dict(spec.tree)
    return BoardId(
        spec.kind,
        spec.dataset,
        spec.encoder,
        tree.name,
        spec.split,
        tree.digest(),
        spec.split_digest,
        spec.labels_digest,
        spec.features_digest,
    )


def _board(board_id: BoardId, records: Sequence[RunRecord]) -> Board:
    if board_id.kind == "unreadable":
        rows = [_unreadable(record) for record in records]
        return Board(board_id, None, tuple(rows), ())
    specs = [record.spec for record in records if record.spec is not None]
    seeds = sorted({spec.seed for spec in specs})
    folds = sorted({spec.fold for spec in specs})
    asked = tuple((seed, fold) for seed in seeds for fold in folds)
    by_method: dict[str, dict[str, list[RunRecord]]] = defaultdict(lambda: defaultdict(list))
    for record, spec in zip(records, specs, strict=True):
        by_method[spec.method][digest(settings(spec))].append(record)
    found = [row for m, variants in by_method.items() for row in _rows(m, variants, asked)]
    rows = sorted(found, key=lambda row: (row.rank_key, row.label))
    return Board(board_id, Taxonomy.from_dict(specs[0].tree), tuple(rows), notes_of(rows))


def _rows(
    method: str, variants: dict[str, list[RunRecord]], asked: tuple[Cell, ...]
) -> list[BoardRow]:
    names = labels([settings(_spec(runs[0])) for runs in variants.values()])
    return [
        BoardRow(method, name, hashed, _by_cell(runs), asked)
        for name, (hashed, runs) in zip(names, variants.items(), strict=True)
    ]


def _by_cell(runs: Sequence[RunRecord]) -> dict[Cell, RunRecord]:
    """A run that lies there twice counts once, the finished one first."""
    cells: dict[Cell, RunRecord] = {}
    for record in sorted(runs, key=lambda r: r.status != "done"):
        cells.setdefault(record.cell, record)
    return cells


def _unreadable(record: RunRecord) -> BoardRow:
    name = f"{record.path.parent.name}/{record.key}"
    return BoardRow(name, "", "", {record.cell: record}, (record.cell,))


def _spec(record: RunRecord) -> RunSpec:
    assert record.spec is not None
    return record.spec
