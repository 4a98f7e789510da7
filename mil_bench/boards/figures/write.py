"""Figures into the folders of their boards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mil_bench.base.errors import DataError
from mil_bench.boards.figures import (
    ablation,
    classes,
    critical,
    curves,
    gain,
    overview,
    planes,
    reliability,
    scores,
)
from mil_bench.boards.formats.folder import board_folders
from mil_bench.boards.formats.markdown import picture_of
from mil_bench.boards.report import Report
from mil_bench.pictures.style import save, save_both

FIGURES: dict[str, Callable[[Report], Figure | None]] = {
    "forest": scores.draw_forest,
    "classes": classes.draw_classes,
    "confusion": classes.draw_confusions,
    "severity": planes.draw_severity,
    "coarse_gain": gain.draw,
    "reliability": reliability.draw,
    "roc": curves.draw_roc,
    "precision_recall": curves.draw_precision,
    "spread": scores.draw_spread,
    "pareto": planes.draw_pareto,
}
"""Name of the files -> what draws them."""
OF_SITES = ("forest", "spread")
"""The figures that need no predictions."""
FOLDER = "figures"
CRITICAL = "critical_difference"


def write_overviews(reports: Sequence[Report], out: Path) -> list[Path]:
    """Draw the picture on the page of every board that has results; return the paths.

    That is ``overview.png``; of an ablation ``differences.png`` or ``sensitivity.png``.
    """
    written = []
    for report, folder in _homes(reports, out):
        draw = ablation.draw if report.board.study else overview.draw
        if figure := draw(report):
            written.append(save(figure, folder / picture_of(report.board)))
    return written


def write_all(reports: Sequence[Report], out: Path) -> tuple[list[Path], list[str]]:
    """Draw all figures but overviews as PNG and SVG; return paths, and why others are missing.

    A figure without data is skipped. The same runs give the same bytes.
    """
    drawn, refused = _critical(reports, out)
    return _figures(reports, out) + drawn, refused


def _figures(reports: Sequence[Report], out: Path) -> list[Path]:
    """Draw :data:`FIGURES` into ``figures/`` of every board."""
    written = []
    for report, folder in _homes(reports, out):
        for name, draw in FIGURES.items():
            if report.board.site is not None and name not in OF_SITES:
                continue
            if figure := draw(report):
                written += save_both(figure, folder / FOLDER / name)
    return written


def _critical(reports: Sequence[Report], out: Path) -> tuple[list[Path], list[str]]:
    """Draw ``<kind>/critical_difference`` over the datasets of each kind; paths, and why not."""
    written, refused = [], []
    for kind in sorted({report.board.id.kind for report in reports if report.board.scores}):
        own = [r for r in reports if r.board.id.kind == kind and r.board.scores]
        try:
            # One kind without a diagram must not keep the others from theirs.
            written += save_both(critical.draw(own), out / kind / CRITICAL)
        except DataError as error:
            refused.append(f"no critical-difference diagram of {kind} data: {error}")
    return written, refused


def _homes(reports: Sequence[Report], out: Path) -> list[tuple[Report, Path]]:
    folders = board_folders([report.board for report in reports], out)
    return list(zip(reports, folders, strict=True))
