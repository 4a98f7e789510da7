"""The packed cache: features of a dataset in one memory-mapped array, made once."""
