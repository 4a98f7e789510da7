"""Ablation studies: the effect of a method's parts and settings."""
