"""What is said of a bag once it is a vector: one file per head, flat or hierarchical.

A head has no parameters. It says how many numbers the method's own last layer gives, turns them
into logits per level, and has the loss. So every aggregator takes every head, and a comparison of
two heads changes nothing else.
"""
