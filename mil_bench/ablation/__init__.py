"""Ablation studies: which part of a method pays, and how much its settings matter."""
