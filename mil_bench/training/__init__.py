"""The shared training harness: one loop for every method."""
