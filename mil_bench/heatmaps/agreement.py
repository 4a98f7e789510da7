"""The hierarchy made visible: a class's own attention beside the summed attention of its children.

HMIL's alignment asks that the two be alike (Jin et al., IEEE TMI 2025): ``1 - cosine`` is its loss,
read as ``alignment_axis="instances"`` (:mod:`mil_bench.methods.hmil.losses`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.heatmaps.draw import HOLDS, Scene, rank_bar, show_panel, show_scores
from mil_bench.heatmaps.patch_scores import ScoreMap, percentile_ranks
from mil_bench.pictures.style import AMBER, BLUE, SMALL, TINY, blank, plain, titled

# Neither, children alone, the class alone, both: from pale to dark also in greyscale.
KINDS = {"neither": "#ececec", "children alone": AMBER, "own alone": BLUE, "both": "black"}


@dataclass(frozen=True)
class Agreement:
    """``upper`` is a class's own map, ``summed`` ``(N,)`` that of its children.

    ``cosine`` and ``spearman`` compare all patches, ``top`` is the share of the upper map's top
    tenth that is also in the other's. ``nan`` where a map is constant.
    """

    upper: ScoreMap
    children: tuple[str, ...]
    summed: NDArray[np.float64]

    @property
    def cosine(self) -> float:
        """Cosine of the two maps."""
        # An all-zero map has no direction.
        norms = np.linalg.norm(self.upper.values) * np.linalg.norm(self.summed)
        return float(self.upper.values @ self.summed / norms) if norms else float("nan")

    @property
    def spearman(self) -> float:
        """Rank correlation of the two maps."""
        if np.ptp(self.upper.values) == 0 or np.ptp(self.summed) == 0:
            return float("nan")
        return float(spearmanr(self.upper.values, self.summed).statistic)

    @property
    def top(self) -> float:
        """Overlap of the top tenths; chance is a tenth."""
        own, below = top_tenth(self.upper.values), top_tenth(self.summed)
        return float((own & below).sum() / own.sum())  # equally many in both

    def numbers(self) -> dict[str, float | None]:
        """Return cosine, rank correlation and overlap; ``None`` where undefined."""
        numbers = {"cosine": self.cosine, "spearman": self.spearman, "top_tenth": self.top}
        return {name: value if value == value else None for name, value in numbers.items()}


def agreements(maps: Sequence[ScoreMap], tree: Taxonomy) -> list[Agreement]:
    """Return one per class above the leaves whose level and the next have separate maps."""
    # Maps that are distributions: sums compare with them.
    by_place = {(m.level, m.name): m for m in maps if m.sums_to_one}
    pairs = []
    for upper, lower in pairwise(tree.levels):
        parents = tree.parent_index(lower)
        for k, name in enumerate(tree.classes[upper]):
            children = [c for c, p in zip(tree.classes[lower], parents, strict=True) if p == k]
            places = [(upper, name), *((lower, child) for child in children)]
            if all(place in by_place for place in places):  # every child needs its own map
                own, *below = (by_place[place] for place in places)
                summed = np.sum([score_map.values for score_map in below], axis=0)
                pairs.append(Agreement(own, tuple(children), summed))
    return pairs


def agreement_figure(rows_shown: Sequence[Agreement], scene: Scene) -> Figure:
    """Draw a row per class: its ranks, those of its children's sum, and the overlap of the tops."""
    width, height = (0.62 * side for side in scene.panel)
    figure = blank(3 * width + 1.4, len(rows_shown) * (height + 0.35) + 1.6)
    axes = figure.subplots(len(rows_shown), 3, squeeze=False)
    for row, agreement in zip(axes, rows_shown, strict=True):
        for axis in row:
            show_panel(axis, scene)
        squares = show_scores(row[0], agreement.upper.ranks, scene)
        show_scores(row[1], percentile_ranks(agreement.summed), scene)
        # 0 neither, 1 children, 2 own, 3 both.
        kinds = top_tenth(agreement.summed) + 2 * top_tenth(agreement.upper.values)
        tops = show_scores(row[2], kinds / 3, scene)
        tops.set_cmap(ListedColormap(list(KINDS.values())))
        words = (
            f"cosine {agreement.cosine:.2f}, rank corr. {agreement.spearman:.2f}, "
            f"top {agreement.top:.0%}"
        )
        row[1].set_title(
            plain(f"sum of {', '.join(agreement.children)}"), fontsize=SMALL, loc="left"
        )
        row[2].set_title(words, fontsize=SMALL, loc="left")
    rank_bar(figure, squares, axes.ravel().tolist())
    for row, agreement in zip(axes, rows_shown, strict=True):
        row[0].set_title(plain(f"{agreement.upper.title} (own)"), fontsize=SMALL, loc="left")
    figure.legend(
        handles=[Patch(facecolor=c, label=k) for k, c in KINDS.items()],
        title="Right: the top tenth",
        loc="outside upper right",
        ncols=4,
        frameon=False,
        fontsize=TINY,
        title_fontsize=TINY,
    )
    return titled(
        figure,
        "Attention of classes and of their children",
        f"{scene.title}\nLeft and middle: ranks within the slide. Cosine of the raw attention; "
        "1 minus its mean over the classes is HMIL's instance alignment (over instances).",
    )


def top_tenth(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the patches of the highest tenth ``(N,)``, at least one; of equal ones the first."""
    top = np.argsort(-values, kind="stable")[: max(1, round(HOLDS * len(values)))]
    chosen = np.zeros(len(values), dtype=np.bool_)
    chosen[top] = True
    return chosen
