"""A picture of one map over the slide where it is at hand: percentile ranks, and raw scores.

Ranks show the order of all patches, raw scores how much the first of them hold. The colours run
from pale to dark, so that they keep their order in greyscale and for colour-blind readers; dark is
high. Known witnesses have a blue frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mil_bench.extraction.slide import Overview
from mil_bench.heatmaps.patch_scores import ScoreMap
from mil_bench.heatmaps.patches import KnownPatches, Places, outline
from mil_bench.pictures.style import BLUE, PALE, SMALL, blank, plain, titled

PANEL = 4.6  # inches of the longer side of a map
OPAQUE_OVER_SLIDE = 0.6
HOLDS = 0.1  # the share of top patches whose part of the attention is stated
RANKS: Final[Colormap] = LinearSegmentedColormap.from_list(
    "ranks", mpl.colormaps["magma_r"](np.linspace(0.02, 0.9, 256))
)


@dataclass(frozen=True)
class Scene:
    """What all pictures of one slide share.

    ``places`` are in pixels of the slide where there is a ``slide``, else in any unit. ``title``
    names slide, run and what the model says.
    """

    places: Places
    title: str
    slide: Overview | None = None

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of a panel: the slide, or the squares with a margin."""
        if self.slide is not None:
            width, height = (side * self.slide.scale for side in self.slide.image.size)
            return 0, width, height, 0  # y runs down, as in the slide
        low, high = self.places.corners.min(0), self.places.corners.max(0) + self.places.side
        margin = 0.02 * float((high - low).max())
        return low[0] - margin, high[0] + margin, high[1] + margin, low[1] - margin

    @property
    def panel(self) -> tuple[float, float]:
        """Width and height of a panel in inches."""
        left, right, bottom, top = self.limits
        width, height = right - left, bottom - top
        longest = max(width, height)
        # A narrow slide still gets a readable panel.
        return PANEL * max(0.35, width / longest), PANEL * max(0.35, height / longest)


def heat_figure(score_map: ScoreMap, scene: Scene, witnesses: KnownPatches | None) -> Figure:
    """Draw ranks and raw scores of one class side by side.

    With a slide, the bare slide comes first.
    ``witnesses`` are the patches known to show the class, ``None`` if unknown.
    """
    panels = 3 if scene.slide is not None else 2
    width, height = scene.panel
    figure = blank(panels * width + 2.0, height + 1.5)
    axes = figure.subplots(1, panels)
    for axis in axes:
        show_panel(axis, scene)
    for axis in axes[-2:]:  # not on the bare slide
        if witnesses is not None:
            frame_witnesses(axis, witnesses, scene)
    rank_bar(figure, show_scores(axes[-2], score_map.ranks, scene), axes[-2])
    # From 0: colours show the size of scores.
    low, high = min(0.0, score_map.values.min()), score_map.values.max()
    raw = show_scores(axes[-1], score_map.values, scene, (low, high))
    bar = figure.colorbar(raw, ax=axes[-1], shrink=0.8)
    bar.set_label("raw score", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    if witnesses is not None and witnesses.mask.any():
        _explain_frames(axes[-1], witnesses)
    return titled(figure, score_map.title, f"{scene.title}\n{_words(score_map, scene, witnesses)}")


def show_panel(axis: Axes, scene: Scene) -> None:
    """Set up the empty panel of one map, with the slide if there is one."""
    left, right, bottom, top = scene.limits
    if scene.slide is not None:
        axis.imshow(scene.slide.image, extent=(left, right, bottom, top))
    axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_color(PALE)


def show_scores(
    axis: Axes,
    scores: NDArray[np.float64],
    scene: Scene,
    limits: tuple[float, float] = (0.0, 1.0),
) -> PolyCollection:
    """Draw squares coloured by score, pale to dark between ``limits``."""
    squares = PolyCollection(
        list(scene.places.squares),
        array=scores,
        cmap=RANKS,
        edgecolors="none",
        alpha=OPAQUE_OVER_SLIDE if scene.slide is not None else 1.0,
        antialiaseds=False,  # seams between neighbours would show
    )
    squares.set_clim(*limits)
    axis.add_collection(squares)
    return squares


def frame_witnesses(axis: Axes, witnesses: KnownPatches, scene: Scene) -> None:
    """Draw a blue frame on white around the known patches; neighbours share a frame."""
    edges = list(outline(scene.places.squares[witnesses.mask]))
    # White below blue: visible on tissue and on glass.
    for colour, width in (("white", 2.6), (BLUE, 1.3)):
        axis.add_collection(LineCollection(edges, colors=colour, linewidths=width, zorder=3))


def _explain_frames(axis: Axes, witnesses: KnownPatches) -> None:
    label = plain(f"known {witnesses.name}")
    axis.legend(
        handles=[Patch(facecolor="none", edgecolor=BLUE, lw=1.3, label=label)],
        loc="upper right", bbox_to_anchor=(1.0, -0.01), frameon=False, fontsize=SMALL,
        borderaxespad=0.0,
    )  # fmt: skip


def rank_bar(figure: Figure, squares: PolyCollection, axis: Axes | Sequence[Axes]) -> None:
    """Draw the scale of the colours."""
    bar = figure.colorbar(squares, ax=axis, shrink=0.8, ticks=[0, 0.5, 1])
    bar.set_ticklabels(["lowest", "median", "highest"], fontsize=SMALL)
    bar.set_label("percentile rank within the slide", fontsize=SMALL)
    bar.outline.set_visible(False)


def top_share(values: NDArray[np.float64]) -> float:
    """Return the share of the sum that the top tenth of the patches holds (one at least)."""
    top = max(1, round(HOLDS * len(values)))
    return float(np.sort(values)[-top:].sum() / values.sum())


def _words(score_map: ScoreMap, scene: Scene, witnesses: KnownPatches | None) -> str:
    n = len(score_map.values)
    lines = [
        f"Scores: {score_map.source}; {n} patches; by percentile rank, then raw "
        f"({score_map.values.min():.2g} to {score_map.values.max():.2g}, in scores.csv)."
    ]
    if score_map.sums_to_one:
        lines.append(f"The top tenth of the patches holds {top_share(score_map.values):.0%} of it.")
    if witnesses is not None:
        lines.append(f"Patches labelled {witnesses.name}: {int(witnesses.mask.sum())}.")
    if scene.places.note:
        lines.append(f"{scene.places.note[0].upper()}{scene.places.note[1:]}.")
    return "\n".join([lines[0], " ".join(lines[1:])] if lines[1:] else lines)
