"""What all figures share: names that can be drawn, colours, sizes, titles and files.

No name becomes a formula, none looks like another, and no meaning is carried by colour alone.
"""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import AutoLocator, MaxNLocator

LONGEST = 36
"""Characters of a row's name."""


def plain(text: str) -> str:
    """Return ``text`` on one line, escaped so that matplotlib draws exactly these characters.

    A dollar would begin a formula. A character without a glyph in the font becomes its code,
    ``\\u80bf``, so that names that differ only there still look different.
    """
    # A missing glyph would be drawn as an empty box.
    shown = "".join(c if _font().get_char_index(ord(c)) else _code(c) for c in _line(text))
    return shown.replace("$", r"\$")


def short(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` ready to be drawn, with its middle left out where it is too long."""
    line = _line(text)
    if len(line) > longest:
        tail = longest // 3  # more of the beginning than of the end
        line = f"{line[: longest - tail - 1]}…{line[-tail:]}"
    return plain(line)


def names(labels: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
    """Map every label to a short name; names that would be equal get a number."""
    cut = {label: short(label, longest) for label in labels}
    times, seen = Counter(cut.values()), Counter[str]()
    for label, name in cut.items():
        seen[name] += 1  # numbered in order: equal names stay apart
        if times[name] > 1:
            cut[label] = f"{name} ({seen[name]})"
    return cut


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(c: str) -> str:
    return f"\\u{ord(c):04x}"


@cache
def _font() -> FT2Font:
    return FT2Font(findfont("DejaVu Sans"))


# Colours, sizes, titles and files.

# Okabe and Ito's colours stay apart for colour-blind readers. Their yellow is lost on white paper.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, BLACK = "#56B4E9", "#E69F00", "#000000"
INK, GREY, PALE, RULE, SHADE = "#222222", "#6e6e6e", "#c8c8c8", "#e6e6e6", "#f4f4f4"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (8, 2)))
SEQUENTIAL = "Blues"
"""A colour map of one hue, so that grey prints keep its order."""

TITLE, TEXT, SMALL, TINY = 11, 9, 8, 7
"""Font sizes in points, at the size of the figure."""
LABEL: dict[str, Any] = {"fontsize": TEXT, "color": INK}
DPI = 160
_PER_INCH = 20
"""Characters of the smallest font size per inch."""


@dataclass(frozen=True)
class Look:
    """How one method is drawn in every figure of a board."""

    color: str
    marker: str
    dashes: Any


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """Label -> look, in order. Markers repeat after 12 methods, no look before 84."""
    # 7 and 12 share no factor: 84 looks.
    cycles = zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), itertools.cycle(DASHES))
    return {label: Look(*look) for label, look in zip(labels, cycles, strict=False)}


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, whose parts make room for each other."""
    return Figure(figsize=(width, height), layout="constrained")


def titled(figure: Figure, title: str, note: str = "") -> Figure:
    """Return ``figure`` with a title above and a note below, both wrapped to its width.

    Line breaks of ``note`` stay.
    """
    room = int(figure.get_figwidth() * _PER_INCH)
    head = textwrap.fill(plain(title), max(20, int(0.62 * room)))
    figure.suptitle(head, x=0.01, ha="left", fontsize=TITLE, fontweight="bold")
    # Backticks are for pages.
    lines = [textwrap.fill(plain(line), room) for line in note.replace("`", "").split("\n")]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=TINY, color=GREY)
    return figure


def quiet(axis: Axes, grid: str = "both", *, left: bool = False) -> None:
    """Draw a thin grid behind the data, no ticks, no box; ``left`` removes the left line too."""
    axis.grid(visible=False)
    axis.grid(axis=grid, color=RULE, lw=0.8)  # type: ignore[arg-type]
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=SMALL, length=0)
    sns.despine(ax=axis, left=left)
    for line in (axis.xaxis, axis.yaxis):
        if isinstance(line.get_major_locator(), AutoLocator):
            line.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))


def headed(axis: Axes, text: str) -> None:
    """Set a small title at the left of a panel."""
    axis.set_title(plain(text), loc="left", **LABEL)


def ink_on(share: float) -> str:
    """Return the colour of text on a cell of :data:`SEQUENTIAL` at ``share`` of its range."""
    red, green, blue, _ = mpl.colormaps[SEQUENTIAL](share)
    # Perceived brightness (Rec. 601).
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def save(figure: Figure, path: Path, dpi: int = DPI) -> Path:
    """Write ``path`` (``.png`` or ``.svg``); the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Dates and versions change the bytes.
    empty = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "mil-bench"}):  # ids of SVG are random without a salt
        figure.savefig(path, dpi=dpi, bbox_inches="tight", metadata=empty)
    return path


def save_both(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as ``.png`` and as ``.svg``; return both paths."""
    return [save(figure, path.with_name(f"{path.name}{suffix}")) for suffix in (".png", ".svg")]
