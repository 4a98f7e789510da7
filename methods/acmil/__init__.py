"""ACMIL: attention with several branches, diversity and stochastic masking."""
