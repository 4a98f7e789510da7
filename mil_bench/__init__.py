"""mil-bench: benchmark of multiple-instance learning on whole slide images."""

__version__ = "0.1.0"
