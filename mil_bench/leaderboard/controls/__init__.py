"""What a hierarchical method must beat before its gain is one of the hierarchy."""
