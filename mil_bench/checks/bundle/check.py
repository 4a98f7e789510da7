"""``mil-bench submit check``: the requirements of a bundle before it is on a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mil_bench.base.errors import MilBenchError, counted
from mil_bench.base.finding import Finding
from mil_bench.boards.board import RANKED
from mil_bench.boards.collect import RunRecord
from mil_bench.checks.bundle.case import BundleCase, open_case
from mil_bench.checks.bundle.of_runs import on_data, on_rows, on_runs, on_submission
from mil_bench.checks.bundle.of_slides import on_labels, on_privacy, on_slides

PARTS = (on_submission, on_runs, on_data, on_rows, on_slides, on_labels, on_privacy)


@dataclass(frozen=True)
class BundleReport:
    """What was seen of one bundle; ``summary`` is one line about its runs and their score."""

    path: Path
    summary: str
    findings: tuple[Finding, ...]


def check_bundle(
    path: Path,
    protocol: Path | None = None,
    dataset: str | None = None,
    data_root: Path | None = None,
) -> BundleReport:
    """Check a bundle against ``protocol`` (default: ``protocols/<name>.toml`` of its name).

    Every problem is a finding; none is raised. Labels are compared with those of the dataset where
    that is at hand (``dataset``, ``data_root``).
    """
    try:
        case = open_case(path, protocol, dataset, data_root)
    except MilBenchError as error:
        return BundleReport(path, "", (Finding("file", str(error), "problem"),))
    findings = [Finding("file", "members, hashes and sizes are as expected")]
    for part in PARTS:
        findings += part(case)
    done = [record for record in case.records if record.status == "done"]
    return BundleReport(path, _summary(case, done), tuple(findings))


def _summary(case: BundleCase, done: Sequence[RunRecord]) -> str:
    method = case.submission.method
    own = [r for r in done if r.spec is not None and r.spec.method == method.split(" ")[0]]
    values = [r.scores.values[RANKED] for r in own if r.scores is not None]
    score = f", mean balanced accuracy {100 * float(np.mean(values)):.1f}" if values else ""
    return f"{method}: {counted(len(case.records), 'run')}{score}"
