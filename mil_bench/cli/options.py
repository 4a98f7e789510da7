"""Options that several commands share, declared once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SHARED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "dataset": (
        ("--dataset", "-d"),
        {"metavar": "NAME", "help": "A name of `list datasets`, or a .toml file."},
    ),
    "data_root": (
        ("--data-root",),
        {
            "metavar": "DIR",
            "type": Path,
            "help": "Folder with the dataset's files, directly or in a sub-folder of its name "
            "(default: $MIL_BENCH_DATA).",
        },
    ),
    "features": (
        ("--features",),
        {
            "metavar": "DIR",
            "type": Path,
            "help": "Folder of feature files, if not under the data root.",
        },
    ),
    "encoder": (
        ("--encoder",),
        {"metavar": "NAME", "help": "Which encoder, if the folder holds several."},
    ),
    "tree": (
        ("--tree",),
        {
            "metavar": "NAME",
            "help": "A tree of the dataset by name, a tree file (.toml, .json), or an upper level "
            "(coarse): labels are its classes, and nothing sees the leaves.",
        },
    ),
    "slides": (
        ("--slides",),
        {
            "metavar": "PATH",
            "type": Path,
            "help": "Slides of the features, for --online blocks (default: where they were "
            "extracted from).",
        },
    ),
    "weights": (
        ("--weights",),
        {
            "metavar": "FILE",
            "type": Path,
            "help": "Weights of the encoder, for --online blocks: the --checkpoint of extract.",
        },
    ),
    "allow_missing": (
        ("--allow-missing",),
        {"action": "store_true", "help": "Go on without slides that have no features."},
    ),
    "drop_leaky_patients": (
        ("--drop-leaky-patients",),
        {"action": "store_true", "help": "Leave out patients who stand in two official sets."},
    ),
    "cache_dir": (
        ("--cache-dir",),
        {
            "metavar": "DIR",
            "type": Path,
            "help": "Folder of packed features (default: $MIL_BENCH_CACHE, else "
            "~/.cache/mil-bench).",
        },
    ),
    "plugin": (
        ("--plugin",),
        {
            "metavar": "FILE",
            "type": Path,
            "action": "append",
            "default": [],
            "help": "Python file that registers methods or datasets; repeatable.",
        },
    ),
    "common": (
        ("--common",),
        {
            "action": "store_true",
            "help": "Score all on the slides that all have predicted, and say what is left out.",
        },
    ),
    "runs": (
        ("--runs",),
        {
            "metavar": "DIR",
            "type": Path,
            "default": Path("runs"),
            "help": "Folder of run directories.",
        },
    ),
    "by": (
        ("--by",),
        {
            "choices": ("auto", "attention", "gradient", "occlusion"),
            "default": "auto",
            "help": "Where scores come from; auto is attention, and the gradient for methods "
            "without.",
        },
    ),
}


def add_shared(group: argparse._ActionsContainer, *names: str, **changes: Any) -> None:
    """Declare options of :data:`SHARED`, in the given order; ``changes`` apply to all of them."""
    for name in names:
        flags, declaration = SHARED[name]
        group.add_argument(*flags, **{**declaration, **changes})
