"""Grids over many datasets: the study file, the plan of a grid, its progress and its time."""
