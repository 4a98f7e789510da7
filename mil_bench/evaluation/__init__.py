"""Scores of stored predictions. numpy and scipy only; usable without the rest of the package."""
