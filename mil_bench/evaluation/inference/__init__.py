"""Statistics of scores from few patients: intervals, differences, tests, ranks, tiers.

numpy and scipy only; usable without the rest of the package. Patients are drawn in ``resampling``,
``bootstrap`` computes the scores of methods in the same draws. Closed formulas require no
draws: ``delong``, ``formulas``, ``retraining``, ``over_datasets``. docs/statistics.md has the
formulas, their sources and when to trust them.
"""
