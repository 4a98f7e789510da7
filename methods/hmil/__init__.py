"""HMIL: hierarchical class-wise attention with alignment across levels (Jin et al., 2025)."""
