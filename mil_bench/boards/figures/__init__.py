"""Figures of boards, drawn from reports; a board without the data of a figure has none."""
