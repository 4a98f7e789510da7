"""Checks of a bundle's runs: the submission, keys, data, cells, rows and anchors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from mil_bench.base.errors import DataError, MilBenchError, counted, listed
from mil_bench.base.finding import Finding
from mil_bench.base.privacy import without_places
from mil_bench.checks.bundle.case import BundleCase
from mil_bench.evaluation.metrics import TABLE_VERSION
from mil_bench.exchange.pack import PackedRow, check_cells, rows_of
from mil_bench.exchange.protocol import read_protocol
from mil_bench.exchange.sources import bundles_in, unpacked


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
    for record in bad[:5]:
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
            return
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
    yield Finding("cells", f"all {len(case.protocol.cells)} of {counted(len(rows), 'row')}")
    stated = [row for row in rows if row.name == case.submission.method]
    if not stated:
        names = listed([row.name for row in rows])
        yield Finding(
            "row",
            f"the submission is of {case.submission.method!r}, the runs are of {names}",
            "problem",
            "pack the bundle again",
        )
    elif stated[0].settings != case.submission.settings:
        yield Finding(
            "row",
            f"settings are {case.submission.settings} by the submission, {stated[0].settings} by "
            "the installed version of the method",
            "note",
            "another version may have other defaults; the board shows settings",
        )
    yield _on_anchors(case, rows)


def _on_anchors(case: BundleCase, rows: Sequence[PackedRow]) -> Finding:
    features = {r.spec.features_digest for r in case.records if r.spec is not None}
    inside = {row.method for row in rows if row.settings == "default"}
    beside = _anchors_beside(case.path.resolve().parent, case.place)
    absent = [
        name
        for name in case.protocol.anchors
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


@cache
def _anchors_beside(folder: Path, place: Path) -> Mapping[str, frozenset[str]]:
    """Anchor -> features of the bundles in ``folder`` that hold all of its cells."""
    protocol = read_protocol(place)
    there: dict[str, set[str]] = {name: set() for name in protocol.anchors}
    for path in bundles_in(folder):
        try:
            rows = rows_of(unpacked(path).runs, protocol)
            anchors = [row for row in rows if row.method in there and row.settings == "default"]
            for row in anchors:
                check_cells(row, protocol)
                there[row.method].add(_features(row))
        except MilBenchError:  # another protocol, or damaged: reported where it is checked itself
            continue
    return {name: frozenset(features) for name, features in there.items()}


def _features(row: PackedRow) -> str:
    definition = json.loads((next(iter(row.folders.values())) / "spec.json").read_text("utf-8"))
    return str(definition.get("features_digest", ""))
