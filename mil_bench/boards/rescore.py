"""Stored runs scored under another tree, or on the slides that all rows share. No retraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.base.errors import DataError, counted
from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.board import Board, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.evaluation.inference.bootstrap import common
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.evaluation.scores import Scores


def rescore(records: Sequence[RunRecord], tree: Taxonomy) -> tuple[list[RunRecord], str]:
    """Return the records whose leaves are those of ``tree``, under it, and a sentence on others.

    A head of an upper level is kept where ``tree`` has a level of the same groups of leaves, under
    any name. It is left out elsewhere. The record states it. Raises ``DataError`` when no run has
    these leaves.
    """
    readable = [r for r in records if r.spec is not None]
    # In any order and under any level.
    fitting = [r for r in readable if set(_tree(r).leaves) == set(tree.leaves)]
    if not fitting:
        trees = sorted({", ".join(sorted(_tree(r).leaves)) for r in readable})
        raise DataError(
            f"no run has the leaves of tree {tree.name!r} ({', '.join(sorted(tree.leaves))}); the "
            f"runs have: {' | '.join(trees) or 'none'}."
        )
    left = len(records) - len(fitting)
    sentence = f"{counted(left, 'run')} with other leaves than tree {tree.name!r} are left out"
    return [_under(record, tree) for record in fitting], sentence if left else ""


def under_tree(p: Predictions, tree: Taxonomy) -> Predictions:
    """Return ``p`` with the leaves of ``tree`` in its order, and the heads that it has levels for.

    Raises ``KeyError`` for a tree with other leaves.
    """
    old = {leaf: i for i, leaf in enumerate(p.taxonomy.leaves)}
    leaves = [old[leaf] for leaf in tree.leaves]
    new = {leaf: i for i, leaf in enumerate(tree.leaves)}
    labels = p.labels.copy()  # a copy: old indices are still needed
    for leaf, i in old.items():
        labels[p.labels == i] = new[leaf]
    heads = {LEAF: p.heads[LEAF][:, leaves]}
    for level in tree.levels[:-1]:
        same = _same_level(p, tree, level)
        if same:
            groups = _groups(p.taxonomy, same)
            order = [groups.index(group) for group in _groups(tree, level)]
            heads[level] = p.heads[same][:, order]
    return replace(p, taxonomy=tree, labels=labels, heads=heads)


def _under(record: RunRecord, tree: Taxonomy) -> RunRecord:
    own = _tree(record)
    assert record.spec is not None
    if own.digest() == tree.digest():  # the same structure: nothing changes but the note
        return replace(record, trained_tree=tree.name)
    sets = {name: under_tree(p, tree) for name, p in record.sets.items()}
    heads = [v for p in record.sets.values() for v in p.heads if v != LEAF]
    # Heads without a level of the same groups.
    lost = tuple(v for v in dict.fromkeys(heads) if not _has(tree, _groups(own, v)))
    scores = Scores.of(sets["test"]) if record.status == "done" else None
    spec = record.spec.model_copy(update={"tree": tree.to_dict()})
    trained = f"{own.name} ({own.digest()[:6]})" if own.name == tree.name else own.name
    return replace(
        record, spec=spec, sets=sets, scores=scores, trained_tree=trained, lost_heads=lost
    )


def _same_level(p: Predictions, tree: Taxonomy, level: str) -> str | None:
    """The level of ``p`` with a head whose groups of leaves are those of ``level`` of ``tree``."""
    wanted = set(_groups(tree, level))
    return next((v for v in p.heads if v != LEAF and set(_groups(p.taxonomy, v)) == wanted), None)


def _has(tree: Taxonomy, groups: list[frozenset[str]]) -> bool:
    return any(set(_groups(tree, level)) == set(groups) for level in tree.levels[:-1])


def _groups(tree: Taxonomy, level: str) -> list[frozenset[str]]:
    """The leaves under every class of a level, in its order."""
    index = tree.ancestor_index(level)
    return [
        frozenset(leaf for leaf, i in zip(tree.leaves, index, strict=True) if i == k)
        for k in range(len(tree.classes[level]))
    ]


def _tree(record: RunRecord) -> Taxonomy:
    assert record.spec is not None
    return Taxonomy.from_dict(record.spec.tree)


def common_board(board: Board) -> Board:
    """Score the same rows on the runs and slides that all rows with a result have.

    A note says how much is left out; a board whose rows agree is returned unchanged. Rows without
    any result stay unchanged. Raises ``DataError`` where nothing is shared.
    """
    rows = {row.label: row for row in board.rows if row.done}
    if len(rows) < 2:
        return board
    shared, left_out = common({label: row.predictions for label, row in rows.items()})
    if not left_out:
        return board
    if not all(shared.values()):
        raise DataError(
            f"no slide of {board.title} is predicted by all of {', '.join(rows)} in the same seed "
            "and fold; compare fewer of them."
        )
    cut = [_cut(row, shared[row.label]) if row.done else row for row in board.rows]
    ordered = sorted(cut, key=lambda row: (row.rank_key, row.label))
    return replace(board, rows=tuple(ordered), notes=(Note("comparison", left_out), *board.notes))


def _cut(row: BoardRow, shared: dict[SeedFold, Predictions]) -> BoardRow:
    runs = {
        cell: replace(row.done[cell], sets={**row.done[cell].sets, "test": p}, scores=Scores.of(p))
        for cell, p in shared.items()
    }
    return replace(row, runs=runs, asked=tuple(shared))
