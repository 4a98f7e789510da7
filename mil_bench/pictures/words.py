"""Names as figures can draw them: no name becomes a formula, and none looks like another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

LONGEST = 36
"""Characters of a row's name."""


def plain(text: str) -> str:
    """Return ``text`` on one line, escaped so that matplotlib draws exactly these characters.

    A dollar would begin a formula. A character without a glyph in the font becomes its code,
    ``\\u80bf``, so that names that differ only there still look different.
    """
    shown = "".join(c if _font().get_char_index(ord(c)) else _code(c) for c in _line(text))
    return shown.replace("$", r"\$")


def short(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` ready to be drawn, with its middle left out where it is too long."""
    line = _line(text)
    if len(line) > longest:
        tail = longest // 3
        line = f"{line[: longest - tail - 1]}…{line[-tail:]}"
    return plain(line)


def names(labels: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
    """Map every label to a short name; names that would be equal get a number."""
    cut = {label: short(label, longest) for label in labels}
    times, seen = Counter(cut.values()), Counter[str]()
    for label, name in cut.items():
        seen[name] += 1
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
