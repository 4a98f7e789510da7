"""Pack the bags of a dataset into one contiguous array on disk, once, atomically.

A cache is a folder ``features.npy`` (float16 or float32), ``coords.npy`` (float64, NaN where a bag
has none) and ``index.json``. It is written to a temporary folder beside its place and renamed when
complete, under a lock, so that a killed or a second process never leaves or sees half a cache.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from mil_bench.bags.cache.index import Cache, CacheError, Stamp
from mil_bench.bags.cache.writer import PackWriter
from mil_bench.bags.formats.folder import PACKED, FeatureSet
from mil_bench.bags.formats.reader import BagSource
from mil_bench.bags.store import bag_digests
from mil_bench.base.console import ProgressDisplay, print_on_stderr
from mil_bench.base.errors import FeatureError
from mil_bench.contract.store import Bag, BagStore

CACHE_VARIABLE = "MIL_BENCH_CACHE"
MAX_REFUSED, MAX_LISTED = 20, 5
GIGABYTE = 1e9
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def default_cache() -> Path:
    """``$MIL_BENCH_CACHE``, else ``~/.cache/mil-bench``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "mil-bench")


def packed(
    features: FeatureSet, sources: Mapping[str, BagSource], cache: Path | None = None
) -> BagStore:
    """The store of ``sources`` (slide id -> where its bag lies), packed now if it is not yet.

    An existing cache serves while the size and time of every source file are as recorded;
    otherwise it is rebuilt, copying what is unchanged. Raises ``FeatureError`` listing the files
    that are not bags (the others stay packed), for a full disk and an unusable cache folder.
    """
    place = cache_folder(features, cache or default_cache())
    opened, _ = _open(place, sources)
    if opened is None:
        with _disk_errors(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            with _lock(place):
                opened = _rebuilt(place, features.encoder, sources)
    return opened.store(sources)


def cache_folder(features: FeatureSet, cache: Path) -> Path:
    """The folder of one feature set's cache, named after it for people and by hash for machines."""
    identity = sha256(f"{features.folder}\n{features.encoder}".encode()).hexdigest()[:10]
    title = "".join(c if c.isalnum() or c in "._-@" else "-" for c in features.encoder)
    return cache / f"{features.folder.name}-{title}-{identity}{PACKED}"


def _open(place: Path, sources: Mapping[str, BagSource]) -> tuple[Cache | None, str]:
    """The cache if it serves ``sources``, else ``None`` and the reason."""
    try:
        found = Cache(place)
    except CacheError as error:
        return None, str(error)
    reason = found.stale(sources)
    return (None, reason) if reason else (found, "")


def _rebuilt(place: Path, encoder: str, sources: Mapping[str, BagSource]) -> Cache:
    """Build the cache unless another process has done so while this one waited for the lock."""
    opened, reason = _open(place, sources)
    if opened is not None:
        return opened
    if reason:
        print_on_stderr(f"the cache {place} is rebuilt: {reason}.")
    for leftover in place.parent.glob(f"{place.name}.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = place.with_name(f"{place.name}.tmp-{os.getpid()}")
    folder.mkdir()
    try:
        refused = _fill(folder, place, encoder, sources)
        if len(refused) < len(sources):
            _commit(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if refused:
        raise _refusal(refused, len(sources))
    return Cache(place)


def _fill(
    folder: Path, place: Path, encoder: str, sources: Mapping[str, BagSource]
) -> list[FeatureError]:
    """Write all bags to ``folder``; the errors of the files that are not bags.

    Bags whose files have not changed are copied from the old cache, also those that ``sources``
    does not ask for.
    """
    refused: list[FeatureError] = []
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
            except FeatureError as error:
                refused.append(error)
                if len(refused) == MAX_REFUSED:
                    break
            else:
                writer.add(slide, bag, stamp)
            progress.advance()
        if old is not None and old.index.dim == writer.dim:
            for slide, record in old.index.bags.items():
                if slide not in sources and record.unchanged():
                    writer.add(slide, old.bag(slide), record.stamp)
    return refused


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
    return bag if bag_digests(bag) == (record.digest, record.coords_digest) else None


def _check_alike(path: Path, bag: Bag, writer: PackWriter) -> None:
    """Raise ``FeatureError`` when ``bag`` is of another width or encoder than those before."""
    if writer.dim is not None and bag.dim != writer.dim:
        raise FeatureError(
            f"{path}: D = {bag.dim}, but the {len(writer.bags)} bags before have D = {writer.dim}; "
            "expected features of one encoder. Extract all slides with the same encoder."
        )
    if bag.encoder and writer.seen_encoder and bag.encoder != writer.seen_encoder:
        raise FeatureError(
            f"{path}: features of {bag.encoder}, but those before are of {writer.seen_encoder}; "
            "expected one encoder per folder. Move the others to a separate folder."
        )


def _commit(folder: Path, place: Path) -> None:
    """Put the finished cache in place of the old one; open memory maps of that stay valid."""
    aside = folder.with_name(f"{folder.name}-old")
    if place.exists():
        place.rename(aside)
    folder.rename(place)
    shutil.rmtree(aside, ignore_errors=True)


def _refusal(refused: list[FeatureError], total: int) -> FeatureError:
    if len(refused) == 1:
        return refused[0]
    count = f"at least {MAX_REFUSED}" if len(refused) == MAX_REFUSED else str(len(refused))
    lines = [str(error) for error in refused[:MAX_LISTED]]
    more = [f"and {len(refused) - MAX_LISTED} more."] if len(refused) > MAX_LISTED else []
    heading = f"{count} of {total} feature files are not usable:"
    return FeatureError("\n  ".join([heading, *lines, *more]))


@contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Only one process packs ``place``; the others wait and say so."""
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=0)
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
        if error.errno in _FULL:
            free = shutil.disk_usage(folder).free / GIGABYTE
            raise FeatureError(
                f"the disk of the cache {folder} is full ({free:.1f} GB left, too little for the "
                f"packed features); free space or {elsewhere}."
            ) from None
        raise FeatureError(
            f"the cache folder {folder} cannot be written ({error.strerror or error}); {elsewhere}."
        ) from None
