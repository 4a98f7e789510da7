"""What every table says of a row: who it is, its standing, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board, BoardRow
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.table import NAN, Cell, Column, Number, Row
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.formulas import detectable_difference, holm
from mil_bench.evaluation.inference.ranks import Rank
from mil_bench.exchange.bundles.verification import SCORED

KEYS = ("method", "variant")
PLACE = columns("tier", "rank", "detectable", "coverage")
"""In every table after the keys."""
STANDING = columns("tier", "rank", "first", "behind", "p", "detectable", "coverage")
_SEARCH = columns("searches", "trials", "failed_trials", "tuning_hours", "tuned_for")
_EVIDENCE = columns("evidence")
_VERIFICATION = columns("verification")
_FROM = columns(
    "folds",
    "seeds",
    "test_slides",
    "test_patients",
    "status",
    "precision",
    "settings",
    "method_version",
    "mil_bench",
    "tree",
    "split",
    "split_digest",
    "leaky",
    "run_keys",
)


def origin_columns(board: Board) -> tuple[Column, ...]:
    """Return the columns on where a row comes from.

    Searches have columns only where there are some, evidence where a row is not trained here.
    Verification has one where others have done more than to score predictions.
    """
    return (
        *(_SEARCH if any(row.tuning for row in board.rows) else ()),
        *(_EVIDENCE if any(row.evidence != "trained" for row in board.rows) else ()),
        *(_VERIFICATION if any(row.verification != SCORED for row in board.rows) else ()),
        *_FROM,
    )


def source_columns(board: Board) -> tuple[Column, ...]:
    """Return the columns on runs and where they come from, for tables without standings."""
    return (*columns("coverage"), *origin_columns(board))


def sources(board: Board) -> dict[str, dict[str, Cell]]:
    """Return, by row label, the cells of :func:`source_columns`."""
    return {row.label: {"coverage": row.coverage, **origin(board, row)} for row in board.rows}


def method_rows(analysis: Analysis, measures: Mapping[str, Mapping[str, Cell]]) -> tuple[Row, ...]:
    """Make a row per method, in order of the board; ``measures`` are cells by column and label."""
    return tuple(
        Row(label, cells | {name: values[label] for name, values in measures.items()})
        for label, cells in described(analysis).items()
    )


def described(analysis: Analysis) -> dict[str, dict[str, Cell]]:
    """Return, by row label, keys, standing and origin, in order of the board."""
    stands, board = standings(analysis), analysis.board
    return {
        row.label: _place(row, stands.get(row.label)) | origin(board, row) for row in board.rows
    }


def keys(row: BoardRow) -> dict[str, Cell]:
    """Return the cells that identify a row."""
    return {"method": row.method, "variant": variant_text(row)}


def _place(row: BoardRow, standing: Standing | None) -> dict[str, Cell]:
    return {**keys(row), **(standing.cells() if standing else {}), "coverage": row.coverage}


def origin(board: Board, row: BoardRow) -> dict[str, Cell]:
    """Return what a row rests on: searches, runs, slides, versions, split."""
    records = list(row.done.values())
    specs = [r.spec for r in row.runs.values() if r.spec is not None]
    return {
        **_search(row),
        "evidence": row.evidence,
        "verification": row.verification,
        "folds": _listed({fold for _, fold in row.done}),
        "seeds": _listed({seed for seed, _ in row.done}),
        "test_slides": Number(row.tested[0]),
        "test_patients": Number(row.tested[1]),
        "status": row.status,
        "precision": "; ".join(sorted({s.precision for s in specs if isinstance(s, RunSpec)})),
        "settings": row.settings,
        "method_version": "; ".join(sorted({spec.method_version for spec in specs})),
        "mil_bench": "; ".join(sorted({r.version for r in records})),
        "tree": board.id.tree,
        "split": board.id.split,
        "split_digest": board.id.split_digest,
        "leaky": "yes" if board.leaky else "no",
        "run_keys": " ".join(r.key for r in records),
    }


def variant_text(row: BoardRow) -> str:
    """Return ``tuned``, ``gated=false`` or both."""
    return "; ".join(filter(None, [row.role, row.variant]))


def _search(row: BoardRow) -> dict[str, Cell]:
    t = row.tuning
    if t is None:
        none: Cell = Number(0)  # 0 searches: the settings are the default's
        return dict.fromkeys(("searches", "trials", "failed_trials", "tuning_hours"), none)
    return {
        "searches": Number(t.studies),
        "trials": Number(t.trials),
        "failed_trials": Number(t.failed),
        "tuning_hours": Number(t.hours),
        "tuned_for": f"validation {t.objective}",
    }


def _listed(numbers: Iterable[int]) -> str:
    return " ".join(map(str, sorted(numbers)))


def standings(analysis: Analysis) -> dict[str, Standing]:
    """Return, by row label, the standing of rows that can be compared, the first row first."""
    tiers = analysis.tiers(RANKED, 1)
    ranks = analysis.ranks(RANKED, 1)
    tier = {label: i for i, group in enumerate(tiers, 1) for label in group}
    if not tier:
        return {}
    first = tiers[0][0]
    behind = {
        label: analysis.difference(first, label, RANKED)
        for label in tier
        if label != first and label in ranks
    }
    # Holm over these differences only: tiers compare with the leader, not each with each.
    p = dict(zip(behind, holm([d.p for d in behind.values()]), strict=True))
    return {
        label: Standing(tier[label], ranks[label], behind.get(label), float(p.get(label, NAN)))
        for label in tier
        if label in ranks
    }


@dataclass(frozen=True)
class Standing:
    """Tier, rank, and difference of the first row to this one (``None`` for the first).

    ``p`` is Holm's, over the differences of all rows to the first.
    """

    tier: int
    rank: Rank
    behind: Replicated | None = None
    p: float = NAN

    def cells(self) -> dict[str, Cell]:
        """Return the cells by column name."""
        cells: dict[str, Cell] = {
            "tier": Number(self.tier),
            "rank": Number(self.rank.rank, self.rank.low, self.rank.high),
            "first": Number(self.rank.first),
        }
        if self.behind:
            cells["behind"] = Number(self.behind.value, self.behind.low, self.behind.high)
            cells["p"] = Number(self.p)
            cells["detectable"] = Number(detectable_difference(self.behind.error))
        return cells
