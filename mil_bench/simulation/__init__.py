"""Simulated cohorts in the on-disk form of the real ones."""
