"""How runs ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from mil_bench.contracts.culprit import place_of
from mil_bench.errors import MilBenchError
from mil_bench.spec import RunSpec


@dataclass(frozen=True)
class Outcome:
    """How one run ended. ``sentence`` says why it is not done, or the best validation value."""

    spec: RunSpec
    status: Literal["done", "skipped", "failed"]
    sentence: str


@dataclass
class GridOutcome:
    """Every run of a grid by how it ended. ``skipped`` runs were done before."""

    done: list[Outcome] = field(default_factory=list)
    skipped: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Put an outcome into its list."""
        getattr(self, outcome.status).append(outcome)


def sentence_about(error: BaseException) -> str:
    """One sentence about any error; the traceback file has the rest."""
    match error:
        case MilBenchError():
            return str(error)
        case torch.OutOfMemoryError() | MemoryError():
            return (
                "out of memory; lower batch_size, set max_instances, or use --precision bf16 "
                "or fewer --jobs."
            )
        case OSError():
            where = f" {error.filename}" if error.filename else ""
            return (
                f"cannot read or write{where} ({error.strerror or error}); free space or correct "
                "the permissions, then run the same command with --existing retry-failed."
            )
        case _:
            first = str(error).partition("\n")[0]
            where = ", ".join(filter(None, [place_of(error), "see traceback.txt"]))
            return f"{type(error).__name__}: {first} ({where})"
