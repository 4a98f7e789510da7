"""Where the tissue is: saturation, median, threshold, closing, small pieces and holes removed.

The steps and the named presets are CLAM's (Lu et al. 2021); sizes are tied to micrometres, so that
a preset means the same on every scanner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

MASK_MPP = 8.0  # finer than CLAM's 16, which loses thin strands of tissue
BLACK = 40  # the saturation of what is darker is noise
OTSU_CEILING = 40  # on slides full of tissue Otsu would split the tissue itself
AREA_UM2 = 128.0**2  # CLAM's unit of areas: 512 x 512 pixels at 40x

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Preset:
    """How tissue is separated from background.

    ``saturation`` (0 to 255) is the threshold, or the lowest value for that of Otsu. ``median`` and
    ``close`` are in mask pixels (:data:`MASK_MPP`). Smaller pieces of tissue than ``piece`` and
    smaller holes than ``hole`` are ignored, in units of 128 x 128 um.
    """

    saturation: int
    otsu: bool
    median: int
    close: int
    piece: float
    hole: float
    min_share: float  # of tissue in a tile that is kept


PRESETS = {
    "default": Preset(8, True, 7, 4, 0.25, 1, 0.25),  # from biopsies to resections
    "biopsy": Preset(15, False, 11, 2, 1, 1, 0.25),  # CLAM's bwh_biopsy
    "resection": Preset(15, False, 11, 4, 100, 16, 0.25),  # CLAM's bwh_resection
    "tcga": Preset(8, False, 7, 4, 16, 4, 0.25),  # CLAM's tcga
    "smear": Preset(6, False, 3, 7, 0.02, 1, 0.05),  # pale, scattered cells of cytology
}
EVERYTHING = "none"  # no mask: every tile that is not blank


def tissue_mask(image: Image.Image, preset: Preset) -> Mask:
    """Return which pixels ``(height, width)`` of an overview at :data:`MASK_MPP` are tissue."""
    values = _saturation(image)
    threshold = preset.saturation
    if preset.otsu:
        threshold = int(np.clip(otsu(values), preset.saturation, OTSU_CEILING))
    # Threshold first: see _median.
    mask = _closed(_median(values > threshold, preset.median), preset.close)
    unit = AREA_UM2 / MASK_MPP**2  # mask pixels of CLAM's unit of area
    mask = _without_small(mask, preset.piece * unit)
    return ~_without_small(~mask, preset.hole * unit)  # holes are pieces of the background


def otsu(values: NDArray[np.uint8]) -> int:
    """Return the threshold with the largest variance between its two sides (Otsu 1979).

    Values up to it are the lower side.
    """
    counts = np.bincount(values.ravel(), minlength=256).astype(float)
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * np.arange(256)).cumsum()
    both = (below > 0) & (above > 0)  # a threshold with nothing on a side separates nothing
    means = np.divide(sums, below, where=both, out=np.zeros(256))
    rest = np.divide(sums[-1] - sums, above, where=both, out=np.zeros(256))
    return int(np.argmax(below * above * (means - rest) ** 2))


def _saturation(image: Image.Image) -> NDArray[np.uint8]:
    """HSV saturation as OpenCV scales it, 0..255; none where it is black."""
    rgb = np.asarray(image, dtype=np.float32)
    high, low = rgb.max(2), rgb.min(2)
    # Dark pixels have no reliable saturation.
    share = np.divide(high - low, high, where=high >= BLACK, out=np.zeros_like(high))
    saturation: NDArray[np.uint8] = (255 * share).round().astype(np.uint8)
    return saturation


def _median(mask: Mask, size: int) -> Mask:
    """What the median of the values exceeds too: thresholds and medians may change places.

    The median of a mask is its majority, which costs the same for every ``size``.
    """
    majority: Mask = ndimage.uniform_filter(mask.astype(np.float32), size, mode="reflect") > 0.5
    return majority


def _closed(mask: Mask, size: int) -> Mask:
    """Dilated, then eroded with the mirrored square, so that even sizes shift nothing."""
    wide = ndimage.maximum_filter(mask, size, mode="nearest")
    mirrored = -1 if size % 2 == 0 else 0
    closed: Mask = ndimage.minimum_filter(wide, size, mode="nearest", origin=mirrored)
    return closed


def _without_small(mask: Mask, area: float) -> Mask:
    """Only the pieces of ``mask`` with at least ``area`` pixels."""
    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))  # diagonal neighbours too
    large = np.bincount(pieces.ravel()) >= area
    large[0] = False  # the background
    large_pieces: Mask = large[pieces]
    return large_pieces
