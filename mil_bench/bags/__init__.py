"""Bags of patch features: labels, file formats, the packed cache, splits, batches."""
