"""RRT-MIL: instance features re-embedded by attention within and across regions of a slide."""
