"""Where the runs of a board were made: versions, processor, threads, precision.

No host name, user name or path: only the facts of :data:`_FACTS` leave a run folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mil_bench.boards.board import Board
from mil_bench.boards.collect import RunRecord
from mil_bench.contract.spec import RunSpec

_FACTS: Final = (
    "processor",
    "device",
    "threads",
    "python",
    "mil-bench",
    "packages",
    "cuda",
    "driver",
)
_COMMIT: Final = 10  # digits


@dataclass(frozen=True)
class Environment:
    """Facts that ``runs`` finished runs share, and the commits of mil-bench that made them."""

    runs: int
    facts: dict[str, Any]
    commits: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return one object of ``environment.json``."""
        return {"runs": self.runs, **self.facts, "commits": list(self.commits)}

    @property
    def words(self) -> tuple[str, ...]:
        """Return the cells of :data:`HEADS`; a dash for an unknown fact."""
        packages, facts = _object(self.facts.get("packages")), self.facts
        device = facts.get("device") or facts.get("processor")
        cells = (self.runs, device, facts.get("threads"), facts.get("precision"))
        versions = (packages.get("torch"), packages.get("numpy"), facts.get("python"))
        return tuple(str(cell or "–") for cell in (*cells, *versions, facts.get("mil-bench")))


HEADS: Final = (
    "Runs", "Device", "Threads", "Precision", "torch", "numpy", "Python", "mil-bench",
)  # fmt: skip


def environments_of(board: Board) -> list[Environment]:
    """Return the environments of the finished runs of a board, the most frequent first."""
    groups: dict[str, list[RunRecord]] = defaultdict(list)
    for row in board.rows:
        for record in row.done.values():
            if isinstance(record.spec, RunSpec):  # trained by mil-bench
                # Sorted: equal facts are one text.
                groups[json.dumps(_facts(record, record.spec), sort_keys=True)].append(record)
    environments = [
        Environment(len(group), json.loads(facts), _commits(group))
        for facts, group in groups.items()
    ]
    return sorted(environments, key=lambda e: (-e.runs, json.dumps(e.facts, sort_keys=True)))


def environment_json(board: Board) -> str:
    """Return the text of ``environment.json``: a list of environments with their runs."""
    content = [environment.as_json() for environment in environments_of(board)]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _facts(record: RunRecord, spec: RunSpec) -> dict[str, Any]:
    stored = record.environment
    facts = {name: stored[name] for name in _FACTS if stored.get(name) is not None}
    return facts | {"precision": spec.precision}


def commit_of(environment: Mapping[str, Any]) -> str:
    """Return the commit of mil-bench in an ``env.json``, if any; ``+`` marks changes to it."""
    git = _object(environment.get("git"))
    commit = str(git.get("commit") or "")[:_COMMIT]
    return f"{commit}+" if commit and git.get("dirty") else commit


def _commits(records: Iterable[RunRecord]) -> tuple[str, ...]:
    return tuple(sorted({commit_of(record.environment) for record in records} - {""}))


def _object(value: Any) -> dict[str, Any]:
    """A JSON object; empty for anything else, because files of others may hold anything."""
    return value if isinstance(value, dict) else {}
