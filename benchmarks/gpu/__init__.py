"""Everything worth measuring on a GPU, in one call: ``python -m benchmarks.gpu``."""
