"""Readers of every bag format in use, and the search for them in folders."""
