"""Reading a bundle that may be hostile: all is checked in memory before anything is written."""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from mil_bench.exchange.bundles.bundle import (
    LARGEST_BUNDLE,
    MOST_MEMBERS,
    MOST_RATIO,
    Bundle,
    BundleError,
    check_members,
    checked_bundle,
    largest,
)

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_ENCRYPTED = 0x1
_SMALL = 64 * 2**10
"""Bytes up to which a member may have any ratio: short texts that repeat one row."""
_DAMAGE = (BadZipFile, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)


def read_bundle(path: Path) -> Bundle:
    """Read and check all of a bundle; nothing is written.

    Raises ``BundleError``, in one sentence, for a file that is not a zip, is damaged, encrypted or
    larger than its limits. So do members that may not be there: links, paths that leave the
    bundle, doubled names, pickles and all else that is not on the list. Then follow the checks of
    :func:`~mil_bench.exchange.bundles.bundle.checked_bundle`.
    """
    try:
        # Checked before reading: a huge file would fill the memory.
        content = path.read_bytes() if path.stat().st_size <= LARGEST_BUNDLE else None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; check the path.") from None
    if content is None:
        raise BundleError(f"{path} has more than {LARGEST_BUNDLE:,} bytes; expected fewer.")
    try:
        # One reading: the file may change between hash and check.
        with ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_directory(path, members)
            files = {info.filename: _content(path, archive, info) for info in members}
    except BundleError:
        raise
    except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
        first = " ".join(str(error).split()) or type(error).__name__
        raise BundleError(
            f"{path} is not a zip file, or is cut short or damaged ({first[:120]}); copy it again."
        ) from None
    return checked_bundle(path, sha256(content).hexdigest(), files)


def _check_directory(path: Path, members: Sequence[ZipInfo]) -> None:
    """Everything that the list of members says, before one byte is decompressed."""
    if len(members) > MOST_MEMBERS:
        raise BundleError(
            f"{path} has {len(members):,} members; expected at most {MOST_MEMBERS:,}."
        )
    # orig_filename: zipfile cuts names at a zero byte.
    check_members((info.orig_filename for info in members), path)
    seen: set[str] = set()
    for info in members:
        _check_entry(path, info)
        # Two names that differ in case are one file on some systems.
        if info.filename.lower() in seen:
            raise BundleError(f"{path} holds {info.filename!r} twice; expected every member once.")
        seen.add(info.filename.lower())
    total = sum(info.file_size for info in members)
    if total > LARGEST_BUNDLE:
        raise BundleError(
            f"{path} has {total:,} bytes when unpacked; expected at most {LARGEST_BUNDLE:,}."
        )
    # In order of place, not of the directory.
    ordered = sorted(members, key=lambda info: info.header_offset)
    for info, following in pairwise(ordered):
        if info.header_offset + info.compress_size > following.header_offset:
            raise BundleError(f"{path} has members that overlap, as zip bombs do.")


def _check_entry(path: Path, info: ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)  # the upper 16 bits are the mode of Unix
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "a special file"
        raise BundleError(f"{path} holds {info.filename!r} as {what}; expected plain files.")
    if info.flag_bits & _ENCRYPTED:
        raise BundleError(f"{path} is encrypted; expected a bundle without a password.")
    if info.compress_type not in _METHODS:
        raise BundleError(f"{path} is compressed by a method that bundles do not use.")
    most = largest(info.filename)
    if info.file_size > most:
        raise BundleError(
            f"{path}, {info.filename} has {info.file_size:,} bytes; expected at most {most:,}."
        )
    if info.file_size > _SMALL and info.file_size > MOST_RATIO * max(info.compress_size, 1):
        raise BundleError(
            f"{path}, {info.filename} grows more than {MOST_RATIO} times when unpacked, as zip "
            "bombs do."
        )


def _content(path: Path, archive: ZipFile, info: ZipInfo) -> bytes:
    """The bytes of one member, never more than its stated size."""
    with archive.open(info) as file:
        content = file.read(info.file_size + 1)  # one byte more shows a wrong size
    if len(content) != info.file_size:
        raise BundleError(f"{path}, {info.filename} has another size than stated; copy it again.")
    return content
