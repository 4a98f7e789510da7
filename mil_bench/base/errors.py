"""Errors that a user can cause. Each message says what was found, what was expected, what to do.

The command line prints the message and exits with ``exit_code``; a traceback appears only with
``--debug``. Any other exception is a bug. Code decides on the class of an error, never on its
message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class MilBenchError(Exception):
    """Base of every error that a user can cause and fix."""

    exit_code = 1


class UsageError(MilBenchError):
    """The words of a command or the keys of a configuration are wrong."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that does not exist; the message lists the nearest three.

    ``of`` is the owner of the name: ``unknown level 'corse' of tree 'digits-3'``.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], hint: str = "", of: str = ""
    ) -> None:
        names = sorted(known)
        near = nearest(name, names)
        what = f"did you mean {_join(near)}?" if near else f"known: {_first(names, 12) or 'none'}."
        whose = f" of {of}" if of else ""
        super().__init__(" ".join(filter(None, [f"unknown {kind} {name!r}{whose}; {what}", hint])))
        self.name, self.nearest = name, near


class ConfigError(UsageError):
    """A configuration value has the wrong type or lies outside its range."""


class TaxonomyError(MilBenchError):
    """A label tree is not a tree, or a label is not in it."""


class DataError(MilBenchError):
    """A label file, manifest or data folder is not what it should be."""


class LabelFileNotFoundError(DataError):
    """A folder has no label file of the requested dataset."""


class FeatureError(DataError):
    """A feature file is missing, truncated or not a bag of patch features."""


class SlideError(DataError):
    """A slide cannot be read, or nothing on it can be tiled."""


class SplitError(DataError):
    """A split is not disjoint, names unknown slides, or cannot be made."""


class RunError(MilBenchError):
    """A run cannot start, or runs of a grid have failed."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return the ``n`` entries of ``known`` most similar to ``name`` in any case, best first."""
    by_lower = {k.lower(): k for k in known}  # the nearest in any case, shown as registered
    return [by_lower[k] for k in difflib.get_close_matches(name.lower(), by_lower, n, cutoff=0.5)]


def _first(names: list[str], n: int) -> str:
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return _join(names[:n]) + more


def _join(names: Iterable[str]) -> str:
    return ", ".join(repr(n) for n in names)


# Counts in sentences.


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return ``1 run`` or ``2 runs``; ``plural`` is for words that do not just take an s."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def listed(names: Sequence[str], shown: int = 3) -> str:
    """Return ``a``, ``a and b``, ``a, b and 4 others``."""
    if len(names) > shown + 1:
        names = [*names[:shown], f"{len(names) - shown} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
