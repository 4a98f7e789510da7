"""Readers of every feature format; `read_bag` finds out which one a file is."""
