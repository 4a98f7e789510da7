"""Tables of predictions that any tool wrote: which column is what, and what its cells say."""
