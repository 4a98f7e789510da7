"""Bundles of small runs, and zips that break one rule each."""

from __future__ import annotations

import zipfile

from run_folders import finish, make_spec

from mil_bench.exchange.bundles.bundle import MANIFEST, manifest_text, write_bundle
from mil_bench.exchange.bundles.submission import Submission, submission_text

SUBMISSION = Submission(
    method="abmil",
    people=("A. Author",),
    licence="CC-BY-4.0",
    code="https://example.org/code",
    commit="abc",
    hardware="a processor",
)
_NAMES = ("spec.json", "result.json", "env.json", "predictions.csv", "train.csv",
          "localisation.csv")  # fmt: skip


def files_of(runs):
    """The members of a bundle of all runs in the folder ``runs``."""
    return {
        f"runs/{path.relative_to(runs).as_posix()}": path.read_bytes()
        for path in sorted(runs.glob("*/*/*/*"))
        if path.name in _NAMES
    } | {f"runs/{p.relative_to(runs).as_posix()}": p.read_bytes() for p in runs.glob("*/*/tun*")}


def some_runs(runs, methods=("abmil",), folds=2, **changes):
    """Runs of ``methods`` in a folder."""
    for method in methods:
        for fold in range(folds):
            finish(runs, make_spec(method, fold=fold, **changes))
    return runs


def bundle_of(runs, path, **changes):
    """A bundle of all runs in the folder ``runs``."""
    return write_bundle(path, SUBMISSION.model_copy(update=changes), files_of(runs))


def raw_zip(path, files, *, submission=True, manifest=True, rewrite=None):
    """A zip of ``files`` with a fitting manifest, without the checks of ``write_bundle``.

    ``rewrite`` may change the ``ZipInfo`` of a member before it is written.
    """
    content = dict(files)
    if submission:
        content.setdefault("submission.toml", submission_text(SUBMISSION).encode())
    if manifest:
        content.setdefault(MANIFEST, manifest_text(content).encode())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if rewrite:
                rewrite(info)
            archive.writestr(info, text)
    return path
