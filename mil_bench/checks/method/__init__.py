"""The checks of a method, one per requirement, on small synthetic bags."""
