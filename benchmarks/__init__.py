"""Speed and memory against the field and the physical limit; run from the repository root."""
