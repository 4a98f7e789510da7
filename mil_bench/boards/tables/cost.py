"""What methods cost, and which costs buy quality: a row per method."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board, BoardRow
from mil_bench.boards.collect import RunResult
from mil_bench.boards.tables.columns import COLUMNS, columns
from mil_bench.boards.tables.identity import KEYS, PLACE, method_rows, origin_columns
from mil_bench.boards.tables.measure import measured, spread_number
from mil_bench.boards.tables.table import Cell, Number, Table, score_column
from mil_bench.evaluation.metrics import PRIMARY

AXES = ("parameters", "flops", "train_seconds", "slide_seconds", "gpu_memory_mb")
"""Costs that take part in the Pareto column."""
_MEASURED: dict[str, Callable[[RunResult], float]] = {
    "parameters": lambda r: r.parameters,
    "flops": lambda r: r.flops,
    "train_seconds": lambda r: r.train_seconds,
    "test_seconds": lambda r: r.test_seconds,
    "slide_seconds": lambda r: r.test_seconds / r.n_test if r.n_test else float("nan"),
    "gpu_memory_mb": lambda r: r.gpu_memory_mb,
    "epochs": lambda r: float(r.epochs),
}
_NOTE = (
    "Means over runs. Pareto: costs for which no row of at least the same balanced accuracy needs "
    "less, among complete rows that are not controls. Times include whatever else the machine did"
)


def cost_table(analysis: Analysis) -> Table | None:
    """Return costs and the Pareto column, in order of the board; ``None`` without any result."""
    board = analysis.board
    if not board.scores:
        return None
    quality = measured(analysis, RANKED)
    costs = {row.label: _costs(row) for row in board.rows}
    names = [n for n in _MEASURED if any(isinstance(c[n], Number) for c in costs.values())]
    measures: dict[str, dict[str, Cell]] = {
        PRIMARY: quality,
        **{name: {label: cells[name] for label, cells in costs.items()} for name in names},
        "pareto": _pareto(board, quality, costs),
        "device": {row.label: "; ".join(_devices(row)) for row in board.rows},
    }
    every = (
        *columns(*KEYS),
        *PLACE,
        score_column(RANKED),
        *columns(*names, "pareto", "device"),
        *origin_columns(board),
    )
    searched = [c.name for c in every if c.name in ("trials", "tuning_hours")]
    main = [n for n in names if n not in ("test_seconds", "epochs")]
    shown = (PRIMARY, *main, "pareto", *searched, "coverage")
    rows = method_rows(analysis, measures)
    return Table("cost", "Cost", every, rows, KEYS, shown, _note(board))


def _costs(row: BoardRow) -> dict[str, Cell]:
    """Means over runs; ``None`` where no run says."""
    results = {cell: r.result for cell, r in row.done.items() if r.result is not None}
    means: dict[str, Cell] = {}
    for name, get in _MEASURED.items():
        # v == v: a run that did not measure it is not a zero.
        values = {c: v for c, r in results.items() if (v := get(r)) == v}
        means[name] = spread_number(values, row)
    return means


def _pareto(
    board: Board, quality: dict[str, Cell], costs: dict[str, dict[str, Cell]]
) -> dict[str, Cell]:
    """Row label -> costs on whose frontier it lies, among rows that compete, if several do."""
    labels = [row.label for row in board.rows if row.competes]
    cheap: dict[str, list[str]] = {label: [] for label in labels}
    for axis in AXES:
        points = {
            label: (-q.value, c.value)  # both are the smaller the better
            for label in labels
            if isinstance(q := quality[label], Number)
            and isinstance(c := costs[label][axis], Number)
        }
        for label in frontier(points) if len(points) > 1 else ():  # a frontier has two points
            cheap[label].append(_in_a_sentence(COLUMNS[axis].title))
    return {row.label: ", ".join(cheap.get(row.label, ())) for row in board.rows}


def _in_a_sentence(title: str) -> str:
    """Without its capital, unless that begins an acronym."""
    return title if title[1].isupper() else f"{title[0].lower()}{title[1:]}"


def frontier(points: dict[str, tuple[float, float]]) -> list[str]:
    """List the points that no other point is at most as large as in both and smaller in one."""

    def beats(a: Sequence[float], b: Sequence[float]) -> bool:
        # Equal points do not beat each other: both stay.
        return a[0] <= b[0] and a[1] <= b[1] and tuple(a) != tuple(b)

    return [k for k, p in points.items() if not any(beats(q, p) for q in points.values())]


def _devices(row: BoardRow) -> list[str]:
    return sorted({r.result.device for r in row.done.values() if r.result})


def _note(board: Board) -> str:
    devices = {device for row in board.rows for device in _devices(row)}
    if len(devices) < 2:
        return _NOTE
    return f"{_NOTE}. Times and memory are of {len(devices)} kinds of device"
