"""What scores of a few patients allow to be said: intervals, differences, tests, ranks, tiers.

numpy and scipy only; usable without the rest of the package. Patients are drawn in ``resampling``,
every score of every draw is computed in ``score_draws``, ``bootstrap`` puts methods side by side.
Tests with formulas of their own need no draws: ``delong``, ``mcnemar``, ``folds``, ``blocks``.
docs/statistics.md has the formulas, their sources and when to trust them.
"""
