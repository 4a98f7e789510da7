"""All checks in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mil_bench.base.finding import Finding
from mil_bench.checks.method import (
    learning,
    records,
    shapes,
)
from mil_bench.checks.method import (
    scores as batches,
)
from mil_bench.checks.method import (
    scores as inference,
)
from mil_bench.checks.method.check import Candidate, Check, NotFinite

CHECKS: tuple[Check, ...] = (
    shapes.numbers,
    shapes.shapes,
    shapes.small_bags,
    shapes.coordinates,
    batches.alone_as_in_a_batch,
    batches.order,
    batches.features_untouched,
    batches.half_features,
    batches.mixed_precision,
    inference.deterministic,
    inference.blind,
    inference.attention,
    learning.loss_terms,
    learning.parameters,
    learning.overfits,
    records.settings,
    records.checkpoint,
    records.card,
    records.search,
    records.ablations,
)


def examine(method: Candidate) -> Iterator[Finding]:
    """The finding of every check; what several stumble over is said and counted once.

    Where usual bags have numbers that are not finite, whatever else fails may follow from them.
    """
    told: dict[str, str] = {}
    wild = False
    for check in CHECKS:
        finding = check(method)
        if finding.state == "problem":
            same = told.setdefault(finding.fact, finding.subject)
            if same != finding.subject:
                finding = _follows(finding, f"as in {same}")
            elif wild:
                finding = _follows(
                    finding, f"may follow from {shapes.numbers.subject}: {finding.fact}"
                )
        if check is shapes.numbers:
            wild = isinstance(finding.cause, NotFinite)
        yield finding


def _follows(finding: Finding, fact: str) -> Finding:
    return replace(finding, fact=fact, state="note", advice="")
