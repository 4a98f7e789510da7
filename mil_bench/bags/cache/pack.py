"""From a folder of features and a list of slides to a packed store: the interface for adapters."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from mil_bench.bags.cache.index import Cache, CacheError, NoCacheError, Stamp
from mil_bench.bags.cache.writer import PackWriter
from mil_bench.bags.formats.folder import PACKED, FeatureSet, choose
from mil_bench.bags.formats.names import match_ids
from mil_bench.bags.formats.reader import BagSource
from mil_bench.bags.placement import GIGABYTE, available_memory
from mil_bench.bags.store import bag_digests, store_of_bags
from mil_bench.base.console import ProgressDisplay, print_on_stderr
from mil_bench.base.errors import FeatureError, counted, nearest
from mil_bench.contract.store import Bag, BagStore

SHOWN_IDS, SHOWN_NAMES = 10, 5


def open_store(
    root: Path,
    slide_ids: Sequence[str],
    *,
    encoder: str | None = None,
    allow_missing: bool = False,
    cache: Path | None = None,
) -> tuple[BagStore, tuple[str, ...]]:
    """Open the packed features of ``slide_ids``; return the store and the ids without features.

    ``root`` is any folder layout of :func:`mil_bench.bags.formats.folder.discover`; only the
    requested slides are packed, on first use, into ``cache`` (default ``$MIL_BENCH_CACHE`` or
    ``~/.cache/mil-bench``). Raises ``FeatureError`` when slides are missing (unless
    ``allow_missing``), when files are not bags, or when several encoders are there and none is
    named.
    """
    features = choose(root, encoder)
    names = match_ids(slide_ids, features.sources)
    missing = tuple(slide for slide in slide_ids if slide not in names)
    if missing and not (allow_missing and names):
        raise _missing(features, missing, len(slide_ids), allow_missing)
    sources = {slide: features.sources[names[slide]] for slide in slide_ids if slide in names}
    return packed(features, sources, cache), missing


def _missing(
    features: FeatureSet, missing: Sequence[str], wanted: int, allow_missing: bool
) -> FeatureError:
    shown = ", ".join(missing[:SHOWN_IDS]) + (", ..." if len(missing) > SHOWN_IDS else "")
    near = nearest(missing[0], [n.rpartition("/")[2] for n in features.sources], SHOWN_NAMES)
    close = ", ".join(near) or "none; files are named like " + next(iter(features.sources))
    advice = "pass their folder with --features"
    if not allow_missing:
        advice += ", or skip them with --allow-missing"
    return FeatureError(
        f"{len(missing)} of {wanted} slides have no features in {features.folder} "
        f"(encoder {features.encoder}, {counted(len(features.sources), 'bag')}): {shown}; "
        f"nearest to {missing[0]}: {close}; {advice}."
    )


# Pack the bags of a dataset into one contiguous array on disk, once, atomically.
#
# A cache is a folder ``features.npy`` (float16 or float32), ``coords.npy`` (float64, NaN where a
# bag has none) and ``index.json``. It is written to a temporary folder next to its place and
# renamed when complete, under a lock: a killed process leaves no half a cache, and a second one
# sees none.

CACHE_VARIABLE = "MIL_BENCH_CACHE"
MAX_ERRORS, MAX_LISTED = 20, 5
SINGLE_USE_SHARE = 0.25  # of the available memory, for bags that are read once
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def default_cache() -> Path:
    """Return ``$MIL_BENCH_CACHE``, else ``~/.cache/mil-bench``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "mil-bench")


def packed(
    features: FeatureSet, sources: Mapping[str, BagSource], cache: Path | None = None
) -> BagStore:
    """Return the store of ``sources`` (slide id -> where its bag is), packed now if it is not yet.

    An existing cache serves while the size and time of every source file are as recorded;
    otherwise it is rebuilt, copying what is unchanged. Raises ``FeatureError`` listing the files
    that are not bags (the others stay packed), for a full disk and an unusable cache folder.
    """
    place = cache_folder(features, cache or default_cache())
    cached, _ = _open(place, sources)  # without the lock: an existing cache is complete
    if cached is None:
        with _disk_errors(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            with _lock(place):
                cached = _rebuilt(place, features.encoder, sources)
    return cached.store(sources)


def opened(
    features: FeatureSet, sources: Mapping[str, BagSource], cache: Path | None = None
) -> BagStore:
    """Return the store of ``sources`` for a single use, without rewriting a large cache for few.

    It comes from an existing cache, else into memory where the files fit, else it is packed. Raises
    as :func:`packed`.
    """
    cached, _ = _open(cache_folder(features, cache or default_cache()), sources)
    if cached is not None:
        return cached.store(sources)
    files = {path for source in sources.values() for path in source.paths if path.exists()}
    if sum(path.stat().st_size for path in files) > SINGLE_USE_SHARE * available_memory():
        return packed(features, sources, cache)
    read, errors = _ReadBags(), list[FeatureError]()
    with ProgressDisplay(f"reading {features.encoder}", len(sources), unit="bag") as progress:
        for slide, source in sources.items():
            try:
                bag = source.read()
                _check_alike(source.paths[0], bag, read)
                read.bags[slide] = bag
            except FeatureError as error:
                errors.append(error)
                if len(errors) == MAX_ERRORS:
                    break
            progress.advance()
    if errors:
        raise _summary(errors, len(sources))
    return store_of_bags(features.encoder, read.bags, {s: b.paths[0] for s, b in sources.items()})


class _Alike(Protocol):
    """Bags so far, and the properties that they share."""

    @property
    def bags(self) -> Mapping[str, object]: ...

    @property
    def dim(self) -> int | None: ...

    @property
    def seen_encoder(self) -> str | None: ...

    @property
    def whole_slides(self) -> bool | None: ...


@dataclass
class _ReadBags:
    """Bags in memory."""

    bags: dict[str, Bag] = field(default_factory=dict)

    @property
    def dim(self) -> int | None:
        return next((bag.dim for bag in self.bags.values()), None)

    @property
    def seen_encoder(self) -> str | None:
        return next((bag.encoder for bag in self.bags.values() if bag.encoder), None)

    @property
    def whole_slides(self) -> bool | None:
        return next((bag.whole_slide for bag in self.bags.values()), None)


def cache_folder(features: FeatureSet, cache: Path) -> Path:
    """Return the folder of a feature set's cache, its name for people and a hash for machines."""
    identity = sha256(f"{features.folder}\n{features.encoder}".encode()).hexdigest()[:10]
    title = "".join(c if c.isalnum() or c in "._-@" else "-" for c in features.encoder)
    return cache / f"{features.folder.name}-{title}-{identity}{PACKED}"


def _open(place: Path, sources: Mapping[str, BagSource]) -> tuple[Cache | None, str]:
    """The cache if it serves ``sources``, else ``None`` and why an existing one does not."""
    try:
        cached = Cache(place)
    except NoCacheError:
        return None, ""
    except CacheError as error:
        return None, str(error)
    reason = cached.stale(sources)
    return (None, reason) if reason else (cached, "")


def _rebuilt(place: Path, encoder: str, sources: Mapping[str, BagSource]) -> Cache:
    """Build the cache unless another process has done so while this one waited for the lock."""
    cached, reason = _open(place, sources)  # again, now under the lock
    if cached is not None:
        return cached
    if reason:
        print_on_stderr(f"the cache {place} is rebuilt: {reason}.")
    # Left by killed processes: only the holder of the lock writes here.
    for leftover in place.parent.glob(f"{place.name}.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    # Next to its place, because a folder can only be renamed within one file system.
    folder = place.with_name(f"{place.name}.tmp-{os.getpid()}")
    folder.mkdir()
    # The errors come after the commit, so that the next attempt reads only the files that failed.
    try:
        errors = _fill(folder, place, encoder, sources)
        if len(errors) < len(sources):  # at least one bag is usable
            _commit(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if errors:
        raise _summary(errors, len(sources))
    return Cache(place)


def _fill(
    folder: Path, place: Path, encoder: str, sources: Mapping[str, BagSource]
) -> list[FeatureError]:
    """Write all bags to ``folder``; return the errors of the files that are not bags.

    Bags of unchanged files are copied from the old cache, including those not in ``sources``.
    """
    errors: list[FeatureError] = []
    old = _old_cache(place)
    with (
        PackWriter(folder, encoder) as writer,
        ProgressDisplay(f"packing {encoder}", len(sources), unit="bag") as progress,
    ):
        for slide, source in sources.items():
            try:
                stamp = source.stamp()
                bag = _take(old, slide, stamp) or source.read()
                _check_alike(source.paths[0], bag, writer)
            # The others are still packed, so that one attempt names all bad files.
            except FeatureError as error:
                errors.append(error)
                if len(errors) == MAX_ERRORS:
                    break
            else:
                writer.add(slide, bag, stamp)
            progress.advance()
        # What other datasets have packed stays, as long as its files are unchanged.
        if old is not None and old.index.dim == writer.dim:
            for slide, record in old.index.bags.items():
                if slide not in sources and record.unchanged():
                    writer.add(slide, old.bag(slide), record.stamp)
    return errors


def _old_cache(place: Path) -> Cache | None:
    try:
        return Cache(place)
    except CacheError:
        return None


def _take(old: Cache | None, slide: str, stamp: Stamp) -> Bag | None:
    """The bag from the old cache, if it was read from the same files and is undamaged."""
    if old is None or slide not in old.index.bags or old.index.bags[slide].stamp != stamp:
        return None
    bag, record = old.bag(slide), old.index.bags[slide]
    # A damaged cache must not spread.
    return bag if bag_digests(bag) == (record.digest, record.coords_digest) else None


def _check_alike(path: Path, bag: Bag, before: _Alike) -> None:
    """Raise ``FeatureError`` when ``bag`` is of another kind, width or encoder than before."""
    if before.dim is not None and bag.dim != before.dim:
        raise FeatureError(
            f"{path}: D = {bag.dim}, but the {counted(len(before.bags), 'bag')} before "
            f"have D = {before.dim}; "
            "expected features of one encoder. Extract all slides with the same encoder."
        )
    if before.whole_slides is not None and bag.whole_slide != before.whole_slides:
        kinds = {True: "one vector, a slide embedding", False: "features of patches"}
        raise FeatureError(
            f"{path}: {kinds[bag.whole_slide]}, but the bags before are "
            f"{kinds[before.whole_slides].removeprefix('one vector, a ')}; keep the two in "
            "separate folders, or save a slide of one patch with shape (1, D)."
        )
    if bag.encoder and before.seen_encoder and bag.encoder != before.seen_encoder:
        raise FeatureError(
            f"{path}: features of {bag.encoder}, but those before are of {before.seen_encoder}; "
            "expected one encoder per folder. Move the others to a separate folder."
        )


def _commit(folder: Path, place: Path) -> None:
    """Put the finished cache in place of the old one."""
    # Renamed away and not overwritten, because other processes may have its arrays mapped: a map
    # stays valid when its file is removed, and does not when the file is written to.
    aside = folder.with_name(f"{folder.name}-old")
    if place.exists():
        place.rename(aside)
    folder.rename(place)
    shutil.rmtree(aside, ignore_errors=True)


def _summary(errors: list[FeatureError], total: int) -> FeatureError:
    if len(errors) == 1:
        return errors[0]
    count = f"at least {MAX_ERRORS}" if len(errors) == MAX_ERRORS else str(len(errors))
    lines = [str(error) for error in errors[:MAX_LISTED]]
    more = [f"and {len(errors) - MAX_LISTED} more."] if len(errors) > MAX_LISTED else []
    heading = f"{count} of {total} feature files are not usable:"
    return FeatureError("\n  ".join([heading, *lines, *more]))


@contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Let one process pack ``place``; others print that they wait."""
    # A lock of the operating system on a file, which ends with its process however it dies.
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=0)  # without waiting, so that waiting is announced
    except Timeout:
        print_on_stderr(f"another process is packing {place}; waiting.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about the cache's disk into a sentence."""
    elsewhere = f"choose another folder with --cache-dir or {CACHE_VARIABLE}"
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:  # quota and file size limits too
            free = shutil.disk_usage(folder).free / GIGABYTE
            raise FeatureError(
                f"the disk of the cache {folder} is full ({free:.1f} GB left, too little for the "
                f"packed features); free space or {elsewhere}."
            ) from None
        raise FeatureError(
            f"the cache folder {folder} cannot be written ({error.strerror or error}); {elsewhere}."
        ) from None
