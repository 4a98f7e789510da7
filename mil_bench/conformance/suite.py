"""All checks in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mil_bench.conformance import batches, inference, learning, records, shapes
from mil_bench.conformance.candidate import Candidate
from mil_bench.conformance.check import Check
from mil_bench.finding import Finding

CHECKS: tuple[Check, ...] = (
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
    """The finding of every check; what several stumble over is said and counted once."""
    told: dict[str, str] = {}
    for check in CHECKS:
        finding = check(method)
        if finding.state == "problem" and finding.fact in told:
            where = told[finding.fact]
            finding = replace(finding, fact=f"as in {where}", state="note", advice="")
        else:
            told.setdefault(finding.fact, finding.subject)
        yield finding
