"""From records to boards: who may be compared with whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from mil_bench.bags.features_lock import FeaturesLock
from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.board import Board, BoardId, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.extractions import with_extractions
from mil_bench.boards.notes import notes_of
from mil_bench.boards.roles import role_of, tunings_of
from mil_bench.contract.spec import Experiment, TransferredSpec
from mil_bench.contract.variants import digest, labels, settings
from mil_bench.evaluation.inference.bootstrap import check_pairable
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.runs.plan import is_default
from mil_bench.runs.tuning_record import TuningRecord


def build_boards(
    records: Iterable[RunRecord],
    searches: Sequence[TuningRecord] = (),
    locks: Mapping[str, FeaturesLock] = MappingProxyType({}),
) -> list[Board]:
    """Make one board per kind x dataset x encoder x tree x split, and per content of each.

    Rows are variants of methods: runs that differ in anything but seed and fold are separate rows,
    and so is the outcome of each of ``searches``. Every row should have all seeds and folds that
    occur on its board. Features that are about equal by their ``locks`` share a board.
    """
    groups: dict[BoardId, list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[_board_of(record)].append(record)
    # Before boards are made: guests join others.
    groups = _with_guests(with_extractions(groups, locks))
    ids = sorted(groups, key=lambda i: (i.kind, i.dataset, i.encoder, i.split, repr(i)))
    boards = [_board(board_id, groups[board_id], searches) for board_id in ids]
    done = {r.key: r for of_board in groups.values() for r in of_board if r.status == "done"}
    return with_twins([_with_own_tests(board, done) for board in boards])


def _with_own_tests(board: Board, records: Mapping[str, RunRecord]) -> Board:
    """Add what the models of transferred rows predict for their own test slides."""
    own: dict[str, dict[SeedFold, Predictions]] = {}
    for row in board.rows:
        for cell, record in row.done.items():
            spec = record.spec
            source = records.get(spec.source.key) if isinstance(spec, TransferredSpec) else None
            if source is not None:
                own.setdefault(row.label, {})[cell] = source.sets["test"]
    return replace(board, own_tests=own)


def _board_of(record: RunRecord) -> BoardId:
    if record.spec is None:
        return BoardId("unreadable", record.path.parent.parent.name)
    return board_id(record.spec)


def board_id(spec: Experiment) -> BoardId:
    """Return what a run must share with others to be on one board."""
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
        *_trained_on(spec),
    )


def _trained_on(spec: Experiment) -> tuple[str, str]:
    if not isinstance(spec, TransferredSpec):
        return "", ""
    return spec.trained_on, f"{spec.source.labels_digest}-{spec.source.features_digest}"


def _with_guests(groups: Mapping[BoardId, list[RunRecord]]) -> dict[BoardId, list[RunRecord]]:
    """Put runs of unknown features on every board of the same slides, labels and folds.

    They predict the same test slides, so that tests hold; where no board is theirs, they have one.
    """
    hosts = {board_id: list(records) for board_id, records in groups.items()}
    # Runs with unknown features join boards of their slides, if there are any.
    for guest in [board_id for board_id in groups if _features_unknown(board_id)]:
        joined = [i for i in groups if not _features_unknown(i) and _may_join(guest, i)]
        for host in joined:
            hosts[host] += groups[guest]
        if joined:
            del hosts[guest]
    return hosts


def _features_unknown(board_id: BoardId) -> bool:
    return board_id.kind != "unreadable" and not board_id.features_digest


def _may_join(guest: BoardId, host: BoardId) -> bool:
    """Whether they differ in features only, and in the encoder at most if that is unknown."""
    encoder = guest.encoder or host.encoder
    return replace(guest, encoder=encoder, features_digest=host.features_digest) == host


def _board(
    board_id: BoardId, records: Sequence[RunRecord], searches: Sequence[TuningRecord]
) -> Board:
    if board_id.kind == "unreadable":
        rows = [_unreadable(record) for record in records]
        return Board(board_id, None, tuple(rows), ())
    specs = [record.spec for record in records if record.spec is not None]
    seeds = sorted({spec.seed for spec in specs})
    folds = sorted({spec.fold for spec in specs})
    # Every seed with every fold that occurs.
    asked = tuple((seed, fold) for seed in seeds for fold in folds)
    by_method: dict[str, list[RunRecord]] = defaultdict(list)
    for record, spec in zip(records, specs, strict=True):
        by_method[spec.method].append(record)
    of_all = [row for m, runs in by_method.items() for row in _rows(m, runs, asked, searches)]
    if any(row.evidence != "external" for row in of_all):  # all external: nothing to set apart
        of_all = [_marked(row) for row in of_all]
    rows = sorted(of_all, key=lambda row: (row.rank_key, row.label))
    return Board(board_id, Taxonomy.from_dict(specs[0].tree), tuple(rows), notes_of(rows))


def _rows(
    method: str,
    runs: Sequence[RunRecord],
    asked: tuple[SeedFold, ...],
    searches: Sequence[TuningRecord],
) -> list[BoardRow]:
    """Rows of one method: its variants, then the outcomes of its searches.

    A tuned run is in its search's row only, unless its settings are the default's.
    """
    tunings = tunings_of([run.key for run in runs], searches)
    default = frozenset[str]().union(*(t.default for t in tunings))
    # The default's own settings stay in its row.
    tuned = frozenset[str]().union(*(t.tuned for t in tunings)) - default
    variants: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.key not in tuned:
            variants[digest(_settings(run))].append(run)
    alike_in_role: dict[tuple[str, str], list[str]] = defaultdict(list)
    for hashed, alike in variants.items():
        spec = _spec(alike[0])
        alike_in_role[spec.evidence, role_of(spec)].append(hashed)
    rows = []
    for (_, role), group in alike_in_role.items():
        names = _names([variants[hashed] for hashed in group])
        for name, hashed in zip(names, group, strict=True):
            cells = _by_cell(variants[hashed])
            of_row = role or ("default" if _searched(cells, default) else "")
            rows.append(BoardRow(method, name, hashed, cells, asked, of_row))
    for t in tunings:
        chosen = _by_cell([run for run in runs if run.key in t.tuned])
        name = t.family if len(tunings) > 1 else ""
        rows.append(BoardRow(method, name, t.family, chosen, asked, t.role, t))
    return rows


def _marked(row: BoardRow) -> BoardRow:
    """Name what was made elsewhere beside rows that were made here: ``clam (external)``."""
    return replace(row, role=row.evidence) if row.evidence == "external" else row


def _names(variants: Sequence[Sequence[RunRecord]]) -> list[str]:
    """What sets variants apart; the one with the method's default settings needs no words.

    Where several have them (in other precisions, say), it is the one with most runs.
    """
    of_variants = [_settings(alike[0]) for alike in variants]
    if len(of_variants) == 1:
        return labels(of_variants)
    usual = [alike for alike in variants if is_default(_spec(alike[0]))]
    return labels(of_variants, _settings(max(usual, key=len)[0]) if usual else None)


def _searched(runs: Mapping[SeedFold, RunRecord], default: frozenset[str]) -> bool:
    return any(run.key in default for run in runs.values())


def _by_cell(runs: Sequence[RunRecord]) -> dict[SeedFold, RunRecord]:
    """A run that is there twice counts once, the finished one first."""
    cells: dict[SeedFold, RunRecord] = {}
    # Done first, so that setdefault keeps it.
    for record in sorted(runs, key=lambda r: r.status != "done"):
        cells.setdefault(record.cell, record)
    return cells


def _unreadable(record: RunRecord) -> BoardRow:
    name = f"{record.path.parent.name}/{record.key}"
    return BoardRow(name, "", "", {record.cell: record}, (record.cell,))


def _settings(run: RunRecord) -> dict[str, str]:
    """Settings of a run, and what else sets its row apart.

    A run that is scored under another tree has the one of its training. A run whose features are
    about equal to those of the board has its own.
    """
    other = {"trained_tree": run.trained_tree, "features": run.extraction}
    return settings(_spec(run)) | {name: value for name, value in other.items() if value}


def _spec(record: RunRecord) -> Experiment:
    assert record.spec is not None
    return record.spec


def with_twins(boards: Sequence[Board]) -> list[Board]:
    """Return the boards, each with its coarse-only twins.

    Twins are rows of other boards that were trained for one of its upper levels only.

    They are detected by content: the same data in the same folds, labelled with the classes of
    that level. ``mil-bench run --tree coarse`` makes such runs.
    """
    return [
        replace(board, twins=tuple(twin for other in boards for twin in _twins(board, other)))
        for board in boards
    ]


def _twins(board: Board, other: Board) -> list[tuple[str, BoardRow]]:
    tree, flat = board.taxonomy, other.taxonomy
    if tree is None or flat is None or flat.depth > 1 or _data(board) != _data(other):
        return []
    # Same classes under any name.
    levels = [v for v in tree.levels[:-1] if set(tree.classes[v]) == set(flat.leaves)]
    complete = [row for row in board.rows if row.complete]
    return [
        (level, row)
        for level in levels[-1:]  # one level only: the lowest of equal ones
        for row in other.rows
        if complete and row.complete and _same_slides(complete[0], row, level)
    ]


def _data(board: Board) -> tuple[str, ...]:
    """What twins share: all that identifies a board but tree and labels."""
    i = board.id
    return (
        *(i.kind, i.dataset, i.encoder, i.split_digest, i.features_digest),
        *(i.trained_on, i.source_digest),
    )


def _same_slides(row: BoardRow, twin: BoardRow, level: str) -> bool:
    """Whether both test the same slides, with the same classes at ``level``."""
    coarse = {cell: _coarse(p, level, twin) for cell, p in row.predictions.items()}
    try:
        check_pairable({row.label: coarse, f"{twin.label} twin": twin.predictions})
    except DataError:
        return False
    return True


def _coarse(p: Predictions, level: str, twin: BoardRow) -> Predictions:
    """``p`` with the labels that the twin's tree gives its slides."""
    flat = next(iter(twin.predictions.values())).taxonomy
    names = p.taxonomy.classes[level]
    labels = [flat.index(names[k]) for k in p.truth(level)]
    # Times 0: an array of the type of the labels.
    return Predictions(flat, p.slide_ids, p.groups, p.labels * 0 + labels, {LEAF: p.summed(level)})
