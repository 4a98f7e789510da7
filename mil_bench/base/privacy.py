"""Texts without the places of a machine, for boards and pages that leave it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_FOLDER = r"[^\s/\\'\"`<>|:;,()\[\]{}]+"
_BEFORE = r"(?<![\w.:/~…-])"
"""A slash inside a word ("float16/32") or an address ("https://...") begins no path."""
_PATH = re.compile(rf"{_BEFORE}(?:~|/{_FOLDER})/(?:{_FOLDER}/)*(?P<name>{_FOLDER})?")


def without_places(text: str, root: Path | None = None) -> str:
    """Return ``text`` in which paths name no folder of this machine.

    Paths below ``root`` stay relative to it; of other absolute paths only the last name is left:
    ``…/slide7.h5``. Home and working folder are recognised even where their names have blanks.
    """
    for folder, short in ((root, ""), (Path.cwd(), ""), (Path.home(), "~/")):
        for spelling in _spellings(folder):
            text = re.sub(rf"{_BEFORE}{re.escape(spelling)}/", short, text)
    return _PATH.sub(_last_name, text)


def is_private(link: Path, page: Path) -> bool:
    """Return whether a link from the folder ``page`` to ``link`` would name the user's folders.

    It does where the only folders that both share are above the home folder.
    """
    shared = Path(os.path.commonpath([link, page]))
    return shared != Path.home() and Path.home().is_relative_to(shared)


def _spellings(folder: Path | None) -> list[str]:
    """The folder as it was named and resolved; the root itself is left out."""
    if folder is None:
        return []
    names = dict.fromkeys([str(folder), str(folder.resolve())])
    return [name for name in names if Path(name).is_absolute() and name != "/"]


def _last_name(match: re.Match[str]) -> str:
    return f"…/{match['name'] or ''}"
