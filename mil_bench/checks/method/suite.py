"""All checks of ``mil-bench check method`` in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mil_bench.base.finding import Finding
from mil_bench.checks.method import learning, records, scores, shapes
from mil_bench.checks.method.check import Candidate, Check, NotFinite

CHECKS: tuple[Check, ...] = (
    shapes.numbers,
    shapes.shapes,
    shapes.small_bags,
    shapes.coordinates,
    scores.alone_as_in_a_batch,
    scores.order,
    scores.features_untouched,
    scores.half_features,
    scores.mixed_precision,
    scores.deterministic,
    scores.blind,
    scores.attention_sums,
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
    """Yield the finding of every check; a problem that several checks meet is counted once.

    If usual bags have numbers that are not finite, later problems are notes: they may follow.
    """
    subjects: dict[str, str] = {}  # of a problem, where it was first met
    not_finite = False
    for check in CHECKS:
        finding = check(method)
        if finding.state == "problem":
            # One cause, met by several checks.
            first = subjects.setdefault(finding.fact, finding.subject)
            if first != finding.subject:
                finding = _follows(finding, f"as in {first}")
            elif not_finite:
                finding = _follows(
                    finding, f"may follow from {shapes.numbers.subject}: {finding.fact}"
                )
        if check is shapes.numbers:  # checked first, because most others would fail, too
            not_finite = isinstance(finding.cause, NotFinite)
        yield finding


def _follows(finding: Finding, fact: str) -> Finding:
    return replace(finding, fact=fact, state="note", advice="")
