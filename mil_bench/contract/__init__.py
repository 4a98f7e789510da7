"""Methods, datasets, batches, splits and runs: what they are, and how they are checked."""
