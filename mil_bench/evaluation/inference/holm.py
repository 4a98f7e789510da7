"""Many tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p ``(m,)`` (Holm 1979): ``max_{j <= i} min(1, (m - j + 1) p_(j))``.

    Undefined p (``nan``) stay undefined and are no tests.
    """
    raw = np.asarray(p, dtype=np.float64)
    adjusted = np.full(raw.shape, np.nan)
    order = np.argsort(raw)[: int((~np.isnan(raw)).sum())]
    steps = raw[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(steps, 1))
    return adjusted
