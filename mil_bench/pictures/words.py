"""Names as pictures can show them: text stays text, and different names stay different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

LONGEST = 36
"""Characters of a name beside a row."""


def plain(text: str) -> str:
    """``text`` on one line for matplotlib, which then shows exactly these characters.

    Dollars are escaped, or they would begin a formula. Characters without a glyph in the font
    become their code, ``\\u80bf``, so that names that differ only there still differ.
    """
    shown = "".join(c if _font().get_char_index(ord(c)) else _code(c) for c in _line(text))
    return shown.replace("$", r"\$")


def short(text: str, longest: int = LONGEST) -> str:
    """``text`` with its middle left out where it is too long; ready to be drawn."""
    line = _line(text)
    if len(line) > longest:
        tail = longest // 3
        line = f"{line[: longest - tail - 1]}…{line[-tail:]}"
    return plain(line)


def names(labels: Sequence[str], longest: int = LONGEST) -> dict[str, str]:
    """Label -> short name; names that would become equal are numbered."""
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
