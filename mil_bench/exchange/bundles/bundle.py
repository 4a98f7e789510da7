"""A bundle: runs without checkpoints in one zip, whose bytes depend on its content alone.

It holds ``submission.toml``, ``MANIFEST.sha256`` (the hash of every other member), and ``runs/`` as
in a folder of runs: ``<dataset>/<method>/<key>/`` with ``spec.json``, ``env.json``,
``result.json``, ``predictions.csv``, optionally ``train.csv`` and ``localisation.csv``. Records of
searches and of features are beside the runs. Nothing else may be in a bundle.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mil_bench.bags.features_lock import LOCKS_FOLDER
from mil_bench.base.atomic import replacing
from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.exchange.bundles.submission import NAME as SUBMISSION
from mil_bench.exchange.bundles.submission import Submission, parse_submission, submission_text

MANIFEST: Final = "MANIFEST.sha256"
REQUIRED: Final = ("spec.json", "result.json", "predictions.csv")
OPTIONAL: Final = ("env.json", "train.csv", "localisation.csv")
ENDING: Final = ".zip"

_MB = 2**20
LARGEST_TABLE: Final = 64 * _MB
LARGEST_TEXT: Final = 2 * _MB
LARGEST_BUNDLE: Final = 512 * _MB
MOST_MEMBERS: Final = 60_000
MOST_LINES: Final = 200_000
"""Lines of one CSV file; ten times the largest public cohort."""
MOST_RATIO: Final = 250
"""Bytes of a member per byte in the zip; text of predictions has about three."""

_WORD = r"[A-Za-z0-9][\w.+@-]{0,99}"
_RUN = re.compile(rf"runs/{_WORD}/{_WORD}/[0-9a-f]{{16}}/({'|'.join(REQUIRED + OPTIONAL)})")
_SEARCH = re.compile(rf"runs/{_WORD}/{_WORD}/tuning-[0-9a-zA-Z]{{1,64}}\.json")
_LOCK = re.compile(rf"runs/{_WORD}/{LOCKS_FOLDER}/[0-9a-f]{{1,64}}\.json")
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can store
_REGULAR_FILE = 0o100644 << 16


class BundleError(DataError):
    """A file is not a bundle that can be trusted."""


@dataclass(frozen=True)
class Bundle:
    """The checked content of a bundle: ``files`` maps every member to its bytes."""

    path: Path
    sha256: str
    submission: Submission
    files: Mapping[str, bytes]

    @property
    def runs(self) -> tuple[str, ...]:
        """Return ``<dataset>/<method>/<key>`` of every run, sorted."""
        folders = {name.rpartition("/")[0] for name in self.files if _RUN.fullmatch(name)}
        return tuple(sorted(folder.removeprefix("runs/") for folder in folders))


def write_bundle(path: Path, submission: Submission, files: Mapping[str, bytes]) -> Path:
    """Write a bundle of ``files`` (member -> bytes), with its manifest; the same content gives
    the same bytes.

    Raises ``BundleError`` for a member that may not be in a bundle.
    """
    # Last, so that no member can take its place.
    content = {**files, SUBMISSION: submission_text(submission).encode()}
    check_members(content, path)
    content[MANIFEST] = manifest_text(content).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(content):
            info = zipfile.ZipInfo(name, _DATE)
            # The output of bzip2 is the same everywhere, and smaller for tables of numbers;
            # that of zlib depends on its version.
            info.compress_type = zipfile.ZIP_BZIP2
            # 3: Unix, so that the mode is read on every system.
            info.create_system, info.external_attr = 3, _REGULAR_FILE
            archive.writestr(info, content[name])
    return path


def largest(name: str) -> int:
    """Return the most bytes that a member may have."""
    return LARGEST_TABLE if name.endswith(".csv") or _LOCK.fullmatch(name) else LARGEST_TEXT


def manifest_text(files: Mapping[str, bytes]) -> str:
    """Return a line ``<SHA-256>  <member>`` per file, as ``sha256sum`` writes it."""
    return "".join(f"{sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))


def check_members(names: Iterable[str], path: Path) -> None:
    """Raise ``BundleError`` for a name that is not on the list of members, in any spelling."""
    for name in names:
        if name in (SUBMISSION, MANIFEST):
            continue
        if not any(form.fullmatch(name) for form in (_RUN, _SEARCH, _LOCK)):
            raise BundleError(
                f"{path} holds {name[:120]!r}, which may not be in a bundle; expected "
                f"{SUBMISSION}, {MANIFEST} and the tables of runs (docs/submit.md)."
            )


def checked_bundle(path: Path, digest: str, files: Mapping[str, bytes]) -> Bundle:
    """Return the bundle of ``files`` after checking all that one member says about another.

    Raises ``BundleError`` for wrong, missing and additional hashes, and runs without their files.
    It also refuses JSON that is not an object or holds NaN, and a damaged submission.
    """
    for required in (MANIFEST, SUBMISSION):
        if required not in files:
            raise BundleError(f"{path} holds no {required}; was it written by `submit pack`?")
    _check_hashes(path, files)
    for name, content in files.items():
        if name.endswith(".json"):
            _check_json(content, f"{path}, {name}")
        elif name.endswith(".csv") and content.count(b"\n") > MOST_LINES:
            raise BundleError(f"{path}, {name} has more than {MOST_LINES:,} lines; expected fewer.")
    try:
        submission = parse_submission(_text(path, files, SUBMISSION), f"{path}, {SUBMISSION}")
    except MilBenchError as error:
        raise BundleError(str(error)) from None
    bundle = Bundle(path, digest, submission, files)
    for run in bundle.runs:
        absent = [name for name in REQUIRED if f"runs/{run}/{name}" not in files]
        if absent:
            raise BundleError(f"{path}, run {run} has no {absent[0]}; pack the bundle again.")
    if not bundle.runs:
        raise BundleError(f"{path} holds no runs; pack it again with finished runs.")
    return bundle


def _check_hashes(path: Path, files: Mapping[str, bytes]) -> None:
    stated: dict[str, str] = {}
    for line in _text(path, files, MANIFEST).splitlines():
        digest, _, name = line.partition("  ")
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or not name or name in stated:
            raise BundleError(f"{path}, {MANIFEST} has the line {line[:120]!r}; expected a hash.")
        stated[name] = digest
    # Both ways: nothing may be added and nothing lack.
    for name in sorted({*stated, *files} - {MANIFEST}):
        if name not in files:
            raise BundleError(f"{path} lacks {name[:120]!r}, which {MANIFEST} lists.")
        if name not in stated:
            raise BundleError(f"{path} holds {name!r}, which {MANIFEST} does not list.")
        if sha256(files[name]).hexdigest() != stated[name]:
            raise BundleError(f"{path}, {name} was changed: its hash is not that of {MANIFEST}.")


def _text(path: Path, files: Mapping[str, bytes], name: str) -> str:
    try:
        return files[name].decode()
    except UnicodeDecodeError:
        raise BundleError(f"{path}, {name} is not text in UTF-8.") from None


def _check_json(content: bytes, owner: str) -> None:
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise BundleError(f"{owner} is not valid JSON ({first}).") from None
    if not isinstance(value, dict):
        raise BundleError(f"{owner} holds a {type(value).__name__}; expected an object.")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")
