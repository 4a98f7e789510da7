"""Figures as files: the same figure gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

_DPI = 160


def save(figure: Figure, path: Path) -> Path:
    """Write ``path``, whose suffix is ``.png`` or ``.svg``; without dates and random ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "mil-bench"}):
        figure.savefig(path, dpi=_DPI, bbox_inches="tight", metadata=empty)
    return path


def save_both(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as ``.png`` and as ``.svg``; the paths."""
    return [save(figure, path.with_name(f"{path.name}{suffix}")) for suffix in (".png", ".svg")]
