"""The smallest difference that a comparison of this size would find."""

from __future__ import annotations

import math

from scipy.stats import norm

POWER = 0.8
ALPHA = 0.05
FACTOR = float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
"""2.80: a difference of so many standard errors is found with 80 % power at the 5 % level."""


def detectable_difference(error: float) -> float:
    """From the standard error of a paired difference, such as ``Replicated.error``."""
    return FACTOR * error


def detectable_accuracy(discordant: float, slides: int) -> float:
    """For accuracies on independent slides: ``2.80 sqrt(discordant / slides)`` (Connor 1987).

    ``discordant`` is the share of slides that one method decides rightly and the other wrongly.
    With slides of the same patients it is larger; use ``detectable_difference`` there.
    """
    return FACTOR * math.sqrt(discordant / slides)
