"""Write ``docs/methods/``: a page and a figure per method of the package, and a table of all.

``python -m docs.methods_pages`` makes them of the methods' own docstrings, cards and options, of
the costs in ``docs/methods.md`` and of the committed boards. A test compares them with what is
committed.
"""

from __future__ import annotations

from pathlib import Path

from mil_bench.base.registry import OURS
from mil_bench.cards.page import BASE, page, table
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.cards.write import board_rows, boards_in, link_to, plain_score
from mil_bench.contract.method import Method
from mil_bench.methods import METHODS
from mil_bench.nn.headed import HeadedMethod

DOCS = Path(__file__).resolve().parent
PAGES = DOCS / "methods"
BOARDS = DOCS.parent / "leaderboards"
COMMAND = "python -m docs.methods_pages"


def pages() -> dict[str, str]:
    """File name -> text: pages and figures of all methods of the package, and ``README.md``."""
    methods = {entry.name: METHODS.get(entry.name) for entry in METHODS if entry.origin == OURS}
    return {
        "README.md": overview(methods),
        **{
            f"{name}.md": page(name, method, _cost(name), list(board_rows(name, BOARDS, PAGES)))
            for name, method in methods.items()
        },
        **{
            f"{name}.svg": steps_figure(method.paper, METHODS.get(BASE).paper)
            for name, method in methods.items()
            if method.paper.steps
        },
    }


def write() -> None:
    """Write every file; one that no method has any more is removed."""
    made = pages()
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.iterdir():
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    print(f"{len(made)} files written under {PAGES}")


def overview(methods: dict[str, type[Method]]) -> str:
    """The table of all methods."""
    measured, costs = _costs()
    board, scored = max(boards_in(BOARDS), key=lambda found: len(found[1]))
    rows = [
        [
            f"[`{name}`]({name}.md)",
            summary,
            f"{method.paper.venue}, {method.paper.year}",
            *costs.get(name, ["", ""])[:2],
            "yes" if issubclass(method, HeadedMethod) else "",
            "order" if method.order_dependent else "coordinates" if method.needs_coords else "",
            plain_score(name, scored),
        ]
        for name, method in methods.items()
        for summary in [next(entry.summary for entry in METHODS if entry.name == name)]
    ]
    header = [
        *("method", "what it is", "paper", *measured[:2], "[heads](../heads.md)", "needs"),
        f"[{dataset_of(board)}]({link_to(board, PAGES)})",
    ]
    return "\n".join(
        [
            "# All methods",
            "",
            "A page each, made of the code. What methods have in common is in",
            "[methods.md](../methods.md), how to add one in [add-a-method.md](../add-a-method.md).",
            "*Needs*: the order of patches matters, or their coordinates must be there. The last",
            "column is the balanced accuracy in per cent on the largest committed board, default",
            "settings, with its 95 % interval over patients.",
            "",
            *table(header, rows),
            "",
            f"`{COMMAND}` writes these pages.",
            "",
        ]
    )


def dataset_of(board: Path) -> str:
    """Of ``leaderboards/<kind>/<dataset>/<encoder>/<split>``."""
    return board.relative_to(BOARDS).parts[1]


def _costs() -> tuple[list[str], dict[str, list[str]]]:
    """What is measured in ``docs/methods.md``; method -> its numbers there."""
    text = (DOCS / "methods.md").read_text(encoding="utf-8").partition("## Cost")[2]
    rows = [_cells(line) for line in text.splitlines() if line.startswith("|")]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:]}


def _cost(name: str) -> list[str]:
    measured, costs = _costs()
    if name not in costs:
        return []
    how = "How it was measured: [methods.md](../methods.md#cost)."
    return [*table(measured, [costs[name]]), "", how]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


if __name__ == "__main__":
    write()
