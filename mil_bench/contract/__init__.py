"""Contracts of methods, datasets, batches, splits and runs, and their checks."""
