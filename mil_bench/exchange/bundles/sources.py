"""Where runs come from: a folder of runs, a bundle, or a folder with bundles, all alike.

A bundle is unpacked once into ``<cache>/bundles/<SHA-256>/``, in the layout of a folder of runs, so
that everything that reads run folders reads bundles.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mil_bench.bags.cache.pack import default_cache
from mil_bench.base.errors import DataError
from mil_bench.exchange.bundles.bundle import ENDING
from mil_bench.exchange.bundles.read_bundle import read_bundle
from mil_bench.exchange.bundles.submission import NAME, Submission, parse_submission
from mil_bench.exchange.bundles.verification import level_of, read_verifications
from mil_bench.exchange.site_report import is_site_report

_FILES = ("spec.json", "result.json", "failure.json", "predictions.csv", "env.json")
_INDEX = "unpacked.txt"


@dataclass(frozen=True)
class RunSource:
    """A folder of runs, and the bundle that it was unpacked from.

    ``bundle`` and ``submission`` are ``None`` for a folder that `mil-bench run` has written;
    ``level`` of verification is empty there.
    """

    runs: Path
    bundle: Path | None = None
    sha256: str = ""
    submission: Submission | None = None
    level: str = ""


@dataclass(frozen=True)
class RunFolder:
    """One run of a source. ``copies`` are the folders of the same run in later sources."""

    path: Path
    source: RunSource
    copies: tuple[Path, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether a copy has other predictions, as the same run on another processor has."""
        first = _bytes(self.path)
        return any(_bytes(copy) != first for copy in self.copies)


def _bytes(run: Path) -> bytes:
    predictions = run / "predictions.csv"
    return predictions.read_bytes() if predictions.exists() else b""


def run_sources(path: Path) -> list[RunSource]:
    """Return the sources of ``path``: the folder itself, then its bundles by name; or one bundle.

    Raises ``DataError`` where ``path`` does not exist, and ``BundleError`` for a file that is not a
    bundle.
    """
    if path.is_file():
        return [unpacked(path)]
    if not path.is_dir():
        raise DataError(f"no folder {path}; expected the --runs folder of `mil-bench run`.")
    return [RunSource(path), *map(unpacked, bundles_in(path))]


def bundles_in(folder: Path) -> list[Path]:
    """Return the bundles that are directly in ``folder``, by name; site reports are none."""
    files = (file for file in folder.glob(f"[!.]*{ENDING}") if file.is_file())
    return sorted(file for file in files if not is_site_report(file))


def run_folders(path: Path) -> list[RunFolder]:
    """Return every run of :func:`run_sources`, in order of ``<dataset>/<method>/<key>``.

    A run that is in several sources is there once, from the first of them.
    """
    by_place: dict[tuple[str, ...], list[tuple[RunSource, Path]]] = {}
    for source in run_sources(path):
        for folder in _runs_of(source.runs):
            place = folder.relative_to(source.runs).parts
            by_place.setdefault(place, []).append((source, folder))
    return [
        RunFolder(sources[0][1], sources[0][0], tuple(folder for _, folder in sources[1:]))
        for _, sources in sorted(by_place.items())
    ]


def _runs_of(runs: Path) -> Iterator[Path]:
    return (
        path
        for path in runs.glob("[!.]*/*/*")
        if path.is_dir() and any((path / name).exists() for name in _FILES)
    )


def unpacked(path: Path, cache: Path | None = None) -> RunSource:
    """Return the runs of a bundle, unpacked now unless an earlier call has done so.

    An existing folder serves while every file has the size and time of that call; otherwise the
    bundle is unpacked again. Raises ``BundleError`` for a bundle that cannot be trusted, and
    ``DataError`` where the cache folder cannot be written.
    """
    digest = _digest(path)
    home = (cache or default_cache()) / "bundles"
    place = home / digest
    if not _is_intact(place):
        bundle = read_bundle(path)
        digest, place = bundle.sha256, home / bundle.sha256
        try:
            _write(home, place, bundle.files)
        except OSError as error:
            raise DataError(
                f"cannot unpack {path} into {home} ({error.strerror}); free space, or choose "
                "another folder with MIL_BENCH_CACHE."
            ) from None
    submission = parse_submission((place / NAME).read_text(encoding="utf-8"), f"{path}, {NAME}")
    level = level_of(digest, read_verifications(path.parent))
    return RunSource(place / "runs", path, digest, submission, level)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                return ""  # no hash: read_bundle says what is wrong
            file.seek(0)
            hashed = sha256()
            while block := file.read(2**20):
                hashed.update(block)
            return hashed.hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path.") from None


def _is_intact(place: Path) -> bool:
    try:
        return (place / _INDEX).read_text(encoding="utf-8") == _index(place)
    except OSError:
        return False


def _index(place: Path) -> str:
    """A line per file with its size and time, which an edit changes."""
    files = sorted(file for file in place.rglob("*") if file.is_file() and file.name != _INDEX)
    facts = [(file.relative_to(place).as_posix(), file.stat()) for file in files]
    return "".join(f"{stat.st_size} {stat.st_mtime_ns} {name}\n" for name, stat in facts)


def _write(home: Path, place: Path, files: Mapping[str, bytes]) -> None:
    """Write into a temporary folder that is renamed when complete.

    Two processes may do so at a time; the second finds the folder of the first and keeps it.
    """
    home.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=home))
    new = temporary / "new"  # renamed in one step, so that no reader sees a part
    try:
        for name, content in files.items():
            target = new / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (new / _INDEX).write_text(_index(new), encoding="utf-8")
        if place.exists() and not _is_intact(place):
            place.rename(temporary / ".changed")  # removed with it
        try:
            new.rename(place)
        except OSError:  # another process was first
            if not _is_intact(place):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
