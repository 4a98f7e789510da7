"""Statistics of scores from few patients: intervals, differences, tests, ranks, tiers.

numpy and scipy only; usable without the rest of the package. Patients are drawn in ``resampling``,
every score of every draw is computed in ``score_draws``, ``bootstrap`` compares methods. Tests with
closed formulas require no draws: ``delong``, ``mcnemar``, ``folds``, ``blocks``. docs/statistics.md
has the formulas, their sources and when to trust them.
"""
