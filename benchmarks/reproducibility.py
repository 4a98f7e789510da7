"""What a second machine may change: the differences between two folders of boards of equal runs.

python -m benchmarks.reproducibility --first BOARDS --second BOARDS --change processor \
    --machines "AMD EPYC (Zen 4)|Intel Xeon (AMX)"

Both folders are an `--out` of `mil-bench leaderboard`. Single runs go to
``across_machines/<change>.csv``, what follows for rows and comparisons to
``<change>.json``. The summary by method goes to
``mil_bench/exchange/bundles/usual_differences.csv``, by which `mil-bench submit verify` judges.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from benchmarks.command import run
from mil_bench.base.atomic import write_json, write_text
from mil_bench.base.errors import DataError
from mil_bench.boards.board import RANKED
from mil_bench.exchange.bundles.usual_differences import CHANGES, TABLE, UsualDifference

FOLDER: Final = Path(__file__).parent / "across_machines"
_TURNED: Final = {
    "better": "worse",
    "worse": "better",
    "better as trained": "worse as trained",
    "worse as trained": "better as trained",
}


class Cell(NamedTuple):
    """Balanced accuracy of the leaves of one run, here and there."""

    board: str
    method: str
    variant: str
    seed: int
    fold: int
    first: float
    second: float


def reproducibility(
    first: Path, second: Path, change: str = "processor", machines: str = "first|second"
) -> None:
    """Compare two folders of boards run by run, row by row and comparison by comparison."""
    if change not in CHANGES:
        raise DataError(f"change {change!r} is unknown; expected one of {', '.join(CHANGES)}.")
    cells = cells_of(first, second)
    here, _, there = machines.partition("|")
    facts = {"change": change, "first": here, "second": there}
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_text(FOLDER / f"{change}.csv", as_csv(Cell._fields, cells))
    boards = {name: compared(first / name, second / name) for name in boards_of(first, second)}
    write_json(FOLDER / f"{change}.json", facts | {"boards": boards})
    write_text(TABLE, as_csv(UsualDifference._fields, summary()))
    print(markdown(change))


def boards_of(first: Path, second: Path) -> list[str]:
    """Return the boards that both folders have. Raises ``DataError`` without any."""
    names = [str(path.parent.relative_to(first)) for path in first.rglob("runs_tidy.csv")]
    shared = sorted(name for name in names if (second / name / "runs_tidy.csv").exists())
    if not shared:
        raise DataError(f"{first} and {second} share no board with a runs_tidy.csv.")
    return shared


def cells_of(first: Path, second: Path) -> list[Cell]:
    """Return the runs that both folders have a score of."""
    cells = []
    for board in boards_of(first, second):
        here, there = (scores(folder / board / "runs_tidy.csv") for folder in (first, second))
        name = Path(board).name
        cells += [Cell(name, *key, here[key], there[key]) for key in here if key in there]
    return cells


def scores(path: Path) -> dict[tuple[str, str, int, int], float]:
    """Read the balanced accuracy of the leaves of every run: method, variant, seed, fold."""
    return {
        (row["method"], row["variant"], int(row["seed"]), int(row["fold"])): float(row["value"])
        for row in read(path)
        if row["metric"] == RANKED.metric and (row["level"], row["class"]) == ("leaf", "")
    }


def compared(first: Path, second: Path) -> dict[str, Any]:
    """Return rows with both scores and ranks, their correlation, and decisions by decision."""
    here, there = (
        {(row["method"], row["variant"]): row for row in read(folder / "overall.csv")}
        for folder in (first, second)
    )
    rows: list[dict[str, Any]] = [
        {
            "method": key[0],
            "variant": key[1],
            **{f"{side}": float(table[key][RANKED.metric]) for side, table in sides},
            **{f"{side}_rank": _number(table[key]["rank"]) for side, table in sides},
        }
        for sides in [(("first", here), ("second", there))]
        for key in here
        if key in there
    ]
    moved = [abs(row["first"] - row["second"]) for row in rows]
    scores = [[row[side] for row in rows] for side in ("first", "second")]
    decisions = Counter(_decisions(first / "pairs.csv", second / "pairs.csv"))
    return {
        "rows": rows,
        "mean_moved": float(np.mean(moved)),
        "most_moved": float(np.max(moved)),
        "rank_correlation": float(spearmanr(*scores).statistic) if len(rows) > 2 else None,
        "changed": sum(n for (a, b), n in decisions.items() if a != b),
        "comparisons": sum(decisions.values()),
        "reversed": sum(n for pair, n in decisions.items() if _opposite(*pair)),
        "decisions": [[*pair, n] for pair, n in sorted(decisions.items())],
    }


def _decisions(first: Path, second: Path) -> Iterator[tuple[str, str]]:
    """Both decisions of every comparison that both boards have, in the direction of the first."""
    there = {(row["method"], row["other"], row["score"]): row["decision"] for row in read(second)}
    for row in read(first):
        a, b, score = row["method"], row["other"], row["score"]
        if (a, b, score) in there:
            yield row["decision"], there[a, b, score]
        elif (b, a, score) in there:
            decision = there[b, a, score]
            yield row["decision"], _TURNED.get(decision, decision)


def _opposite(a: str, b: str) -> bool:
    return {a.partition(" ")[0], b.partition(" ")[0]} == {"better", "worse"}


def summary() -> list[UsualDifference]:
    """Return the differences of single runs by change and method; all methods come first."""
    rows = []
    for change in CHANGES:
        path = FOLDER / f"{change}.csv"
        by_method: dict[str, list[float]] = defaultdict(list)
        for row in read(path) if path.exists() else []:
            difference = abs(float(row["first"]) - float(row["second"]))
            by_method[""].append(difference)
            by_method[row["method"]].append(difference)
        rows += [_usual(change, method, d) for method, d in sorted(by_method.items())]
    return rows


def _usual(change: str, method: str, differences: Sequence[float]) -> UsualDifference:
    d = np.array(differences)
    equal = int((d < 5e-7).sum())  # scores are stored with six digits
    mean, high, largest = (round(float(v), 6) for v in (d.mean(), np.quantile(d, 0.95), d.max()))
    return UsualDifference(change, method, len(d), equal, mean, high, largest)


def markdown(change: str) -> str:
    """Return the table of ``docs/reproduce.md`` for one change, in points."""
    lines = ["| method | runs | equal | mean | 95 % below | largest |"]
    lines.append("| --- | --: | --: | --: | --: | --: |")
    for row in summary():
        if row.change == change:
            points = " | ".join(f"{100 * v:.1f}" for v in (row.mean, row.high, row.largest))
            name = f"`{row.method}`" if row.method else "all"
            lines.append(f"| {name} | {row.runs} | {row.equal} | {points} |")
    return "\n".join(lines)


def read(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, a dictionary per row; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as the text of a CSV file."""
    return "".join(f"{','.join(map(str, row))}\n" for row in [names, *rows])


def _number(text: str) -> int | None:
    return int(float(text)) if text else None


if __name__ == "__main__":
    run(reproducibility)
