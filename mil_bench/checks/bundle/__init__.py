"""Checks of bundles that come in."""
