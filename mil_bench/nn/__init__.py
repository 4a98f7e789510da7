"""Neural blocks that several methods share."""
