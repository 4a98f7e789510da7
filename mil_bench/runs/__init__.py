"""Run directories, grids of runs, and their execution."""
