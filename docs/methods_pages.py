"""Write ``docs/methods/``: a page and a figure per method of the package, and a table of all.

``python -m docs.methods_pages`` makes them of the methods' own docstrings, cards and options, of
the costs in ``docs/methods.md`` and of the committed boards. A test compares them with what is
committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mil_bench.base.registry import OURS
from mil_bench.cards.page import BASE, board_rows, boards_in, link_to, page, plain_score, table
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.contract.card import Cost, MethodCard
from mil_bench.methods import METHODS

DOCS = Path(__file__).resolve().parent
PAGES = DOCS / "methods"
BOARDS = DOCS.parent / "leaderboards"
COMMAND = "python -m docs.methods_pages"


def pages() -> dict[str, str]:
    """File name -> text: pages and figures of all methods of the package, and ``README.md``."""
    cards = [
        replace(
            MethodCard.of(entry.name, METHODS.get(entry.name), entry.summary),
            cost=_cost(entry.name),
        )
        for entry in METHODS
        if entry.origin == OURS
    ]
    return {
        "README.md": overview(cards),
        **{
            f"{card.name}.md": page(card, [*board_rows(card.name, BOARDS, PAGES)]) for card in cards
        },
        **{
            f"{card.name}.svg": steps_figure(card.paper, METHODS.get(BASE).paper)
            for card in cards
            if card.paper.steps
        },
    }


def write() -> None:
    """Write every file; one that no method has any more is removed."""
    texts = pages()
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.iterdir():
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    print(f"{len(texts)} files written under {PAGES}")


def overview(cards: Sequence[MethodCard]) -> str:
    """Return the table of all methods."""
    board, scored = max(boards_in(BOARDS), key=lambda rows: len(rows[1]))
    rows = [
        [
            f"[`{card.name}`]({card.name}.md)",
            card.summary,
            f"{card.paper.venue}, {card.paper.year}",
            *(card.cost.cells[:2] if card.cost else ("", "")),
            "yes" if card.heads else "",
            card.needs,
            plain_score(card.name, scored),
        ]
        for card in cards
    ]
    measured = next(card.cost.header[:2] for card in cards if card.cost)
    header = [
        *("method", "what it is", "paper", *measured, "[heads](../heads.md)", "needs"),
        f"[{dataset_of(board)}]({link_to(board, PAGES)})",
    ]
    return "\n".join(
        [
            "# All methods",
            "",
            "One page per method, generated from the code. Shared facts are in",
            "[methods.md](../methods.md), and how to add one is in "
            "[add-a-method.md](../add-a-method.md).",
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
    """Return the dataset of ``leaderboards/<kind>/<dataset>/<encoder>/<split>``."""
    return board.relative_to(BOARDS).parts[1]


def _costs() -> tuple[list[str], dict[str, list[str]]]:
    """What is measured in ``docs/methods.md``; method -> its numbers there."""
    text = (DOCS / "methods.md").read_text(encoding="utf-8").partition("## Cost")[2]
    rows = [_cells(line) for line in text.splitlines() if line.startswith("|")]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:]}


def _cost(name: str) -> Cost | None:
    header, costs = _costs()
    if name not in costs:
        return None
    how = "How it was measured: [methods.md](../methods.md#cost)."
    return Cost(tuple(header), tuple(costs[name]), how)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


if __name__ == "__main__":
    write()
