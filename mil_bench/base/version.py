"""The version of the package: part of every run's record; ``pyproject.toml`` reads it here."""

__version__ = "0.1.0"
