"""Checks of a bundle's runs: the submission, keys, data, cells, rows and anchors."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from mil_bench.base.errors import DataError, MilBenchError, counted, listed
from mil_bench.base.finding import Finding
from mil_bench.base.privacy import without_places
from mil_bench.checks.bundle.case import BundleCase
from mil_bench.evaluation.metrics import TABLE_VERSION
from mil_bench.exchange.bundles.pack import PackedRow, check_cells, rows_of
from mil_bench.exchange.bundles.sources import bundles_in, unpacked
from mil_bench.exchange.bundles.submission import Submission
from mil_bench.methods import METHODS


def on_submission(case: BundleCase) -> Iterator[Finding]:
    """Yield what the submission says of itself, and what contradicts it."""
    s = case.submission
    yield Finding("submission", f"{listed(s.people)}, licence {s.licence}, protocol {s.protocol}")
    if case.protocol.metrics != TABLE_VERSION:
        yield Finding(
            "scores",
            f"the protocol has version {case.protocol.metrics} of the scores, this mil-bench "
            f"{TABLE_VERSION}",
            "note",
            "scores of boards before may differ; predictions are the same",
        )
    if (s.settings == "tuned") != (s.trials > 0):
        yield Finding(
            "submission",
            f"settings are {s.settings} with {counted(s.trials, 'trial')}",
            "problem",
            "pack the bundle from the runs folder of the search",
        )


def on_runs(case: BundleCase) -> Iterator[Finding]:
    """Check that every key is the hash of its definition, and that predictions can be scored."""
    bad = [record for record in case.records if record.status != "done"]
    for record in bad[:5]:  # a few show what is wrong
        reason = record.reason or record.status
        advice = "pack the bundle again from complete runs"
        yield Finding("runs", f"{record.path.name}: {reason}", "problem", advice)
    if not bad:
        yield Finding("runs", f"{len(case.records)} keys, predictions and scores are valid")


def on_data(case: BundleCase) -> Iterator[Finding]:
    """Check that labels, tree and split are those of the protocol."""
    for record in case.records:
        apart = case.protocol.differences(record.spec) if record.spec is not None else []
        if apart:
            yield Finding(
                "data",
                f"{record.path.name} is not of protocol {case.protocol.name}: {listed(apart, 4)}",
                "problem",
                "run the data and the split of the protocol",
            )
            return  # one finding: all runs have the same data or none
    yield Finding("data", "labels, tree and split are those of the protocol")


def on_rows(case: BundleCase) -> Iterator[Finding]:
    """Check every cell of every row, the row that is announced, and the anchors."""
    try:
        rows = rows_of(case.source.runs, case.protocol)
        for row in rows:
            check_cells(row, case.protocol)
    except DataError as error:
        yield Finding("cells", without_places(str(error)), "problem", "pack all folds and seeds")
        return
    yield Finding("cells", f"every fold and seed of {counted(len(rows), 'row')}")
    yield from _on_announced_row(case, rows)
    yield _on_anchors(case)


def _on_announced_row(case: BundleCase, rows: Sequence[PackedRow]) -> Iterator[Finding]:
    """The row of the submission: a row of its method, with the settings that it announces."""
    stated = case.submission.method
    method = stated.partition(" ")[0]
    own = [row for row in rows if row.method == method]
    if not own:
        fact = f"the submission is of {stated!r}, the runs are of {listed([r.name for r in rows])}"
        yield Finding("row", fact, "problem", "pack the bundle again")
    elif method not in METHODS:
        fact = f"{method} is not installed, so its settings are not compared with its defaults"
        yield Finding("row", fact, "note", "load the file of the method with --plugin")
    elif case.submission.settings not in {row.settings for row in own}:
        fact = (
            f"{stated} is submitted with {case.submission.settings} settings; by the installed "
            f"version they are {listed([row.settings for row in own])}"
        )
        yield Finding("row", fact, "note", "other versions may have other defaults")


def _on_anchors(case: BundleCase) -> Finding:
    """The anchors, by the word of the submission that packed them at their defaults."""
    features = {r.spec.features_digest for r in case.records if r.spec is not None}
    inside = anchors_in(case.submission)
    beside = _anchors_beside(case.path.resolve().parent, case.submission.protocol_digest)
    absent = [
        name
        for name in case.protocol.anchors
        # Anchors of another bundle count only on the same features.
        if name not in inside and not features <= beside.get(name, frozenset())
    ]
    if absent:
        return Finding(
            "anchors",
            f"{listed(absent)} at default settings on the same features are missing",
            "problem",
            f"run --method {','.join(absent)} and pack again",
        )
    return Finding("anchors", f"{listed(case.protocol.anchors)} are there, on the same features")


def anchors_in(submission: Submission) -> tuple[str, ...]:
    """Return the methods at their defaults in a bundle: its anchors, and its row if it is one."""
    own = (submission.method,) if submission.settings == "default" else ()
    return (*submission.anchors, *own)


@cache
def _anchors_beside(folder: Path, protocol_digest: str) -> Mapping[str, frozenset[str]]:
    """Method -> features of the bundles of the protocol in ``folder`` that have it at defaults."""
    there: dict[str, set[str]] = defaultdict(set)
    for path in bundles_in(folder):
        try:
            source = unpacked(path)
        except MilBenchError:  # reported where it is checked itself
            continue
        if source.submission is None or source.submission.protocol_digest != protocol_digest:
            continue
        definitions = [file.read_text("utf-8") for file in source.runs.glob("*/*/*/spec.json")]
        features = {str(json.loads(text).get("features_digest")) for text in definitions}
        for name in anchors_in(source.submission):
            there[name] |= features
    return {name: frozenset(features) for name, features in there.items()}
