"""Methods from outside that were edited after runs had been made with them.

A run key holds the ``version`` of a method, not its code, so that a comment costs no runs. Whoever
edits a plug-in between two commands must raise it; this finds where that may have been forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from inspect import getsourcefile
from pathlib import Path

from mil_bench.contracts.culprit import defined_at
from mil_bench.method import Method
from mil_bench.methods import METHODS
from mil_bench.registry import OURS
from mil_bench.runs.directory import RunDirectory
from mil_bench.spec import RunSpec
from mil_bench.words import counted


def code_digest(method: type[Method]) -> str:
    """Of the file that defines ``method``; empty where there is none."""
    file = getsourcefile(method)
    return sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""


def edited(finished: Iterable[RunSpec], runs: Path) -> list[str]:
    """A sentence per method from outside whose ``finished`` runs were made with another file."""
    outside = {entry.name for entry in METHODS if entry.origin != OURS}
    stale: Counter[str] = Counter()
    for spec in finished:
        if spec.method in outside:
            made_with = RunDirectory.of(runs, spec).read_environment().get("code")
            stale[spec.method] += made_with not in (None, code_digest(METHODS.get(spec.method)))
    return [
        f"{name} ({defined_at(METHODS.get(name))}) was edited since {counted(number, 'run')} of it "
        "ended; if that changes results, raise its version, or use --existing overwrite."
        for name, number in stale.items()
        if number
    ]
