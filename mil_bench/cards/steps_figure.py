"""The figure of a method: its steps from patches to prediction, and its losses below.

A paper card declares both (``PaperCard.steps``, ``PaperCard.losses``). What the base method's card
does not name, word for word, is drawn shaded with a thick outline. The same card gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from textwrap import wrap
from xml.sax.saxutils import escape

from mil_bench.base.errors import UsageError
from mil_bench.contract.method import PaperCard

WIDTH, HEIGHT, GAP, MARGIN = 116, 62, 20, 8
LETTERS, LINES, LINE = 16, 3, 16  # of a box; pixels between lines
BELOW = HEIGHT + 30  # from the row of steps to that of losses
STYLE = (
    "text{font:13px Helvetica,Arial,sans-serif;text-anchor:middle;fill:#111}"
    ".end{fill:none;stroke:none}.shared{fill:#fff;stroke:#555}"
    ".own{fill:#f5c26b;stroke:#111;stroke-width:3.5}"
    "path{stroke:#333;stroke-width:1.5;fill:none;marker-end:url(#tip)}"
)
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><polygon points="0,0 8,4 0,8" fill="#333"/></marker>'
)


def steps_figure(card: PaperCard, base: PaperCard) -> str:
    """Return an SVG of ``card``, marked against ``base``. Raises ``UsageError`` if words do not
    fit.
    """
    steps = [_kind(step, base.steps) for step in card.steps]
    losses = [_kind(loss, base.losses) for loss in card.losses]
    rows = [[("patches", "end"), *steps, ("prediction", "end")], [("losses", "end"), *losses]]
    boxes = max(map(len, rows))
    width = 2 * MARGIN + boxes * (WIDTH + GAP) - GAP
    height = 2 * MARGIN + BELOW + HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<style>{STYLE}</style>",
        f"<defs>{TIP}</defs>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *_arrows(len(rows[0])),
        *(line for number, row in enumerate(rows) for line in _row(row, MARGIN + number * BELOW)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _kind(words: str, known: Collection[str]) -> tuple[str, str]:
    return words, "shared" if words in known else "own"


def _left(place: int) -> int:
    return MARGIN + place * (WIDTH + GAP)


def _arrows(boxes: int) -> Iterator[str]:
    middle = MARGIN + HEIGHT // 2
    for left, right in pairwise(range(boxes)):
        yield f'<path d="M{_left(left) + WIDTH + 2},{middle}H{_left(right) - 2}"/>'


def _row(boxes: Sequence[tuple[str, str]], top: int) -> Iterator[str]:
    for place, (words, kind) in enumerate(boxes):
        lines = wrap(words, LETTERS, break_long_words=False)
        if len(lines) > LINES or max(map(len, lines)) > LETTERS:
            raise UsageError(
                f"{words!r} of the paper card does not fit a box of the figure ({LINES} lines of "
                f"{LETTERS} letters); shorten it."
            )
        left = _left(place)
        size = f'width="{WIDTH}" height="{HEIGHT}" rx="5"'
        yield f'<rect class="{kind}" x="{left}" y="{top}" {size}/>'
        # Centred, whatever the number of lines.
        first = top + HEIGHT // 2 + 5 - LINE * (len(lines) - 1) // 2
        for number, line in enumerate(lines):
            at = f'x="{left + WIDTH // 2}" y="{first + number * LINE}"'
            yield f"<text {at}>{escape(line)}</text>"
