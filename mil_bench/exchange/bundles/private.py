"""What may not leave a house: ids of private slides become keyed hashes, labels are left out."""

from __future__ import annotations

import csv
import hmac
import io
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mil_bench.base.csv_safety import escape, unescape
from mil_bench.base.errors import DataError
from mil_bench.runs.directory import PREDICTIONS_DIGEST

_ID_COLUMNS = ("slide_id", "group_id")
_LENGTH = 20
_WITHHELD = "a note on ids of a private cohort is withheld"


@dataclass(frozen=True)
class Disguise:
    """``key`` hashes ids (empty: unchanged); ``labels`` says whether labels stay."""

    key: bytes = b""
    labels: bool = True

    def applied(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files of one run without what may not leave.

        Keyed predictions are in the order of their hashes, and ``result.json`` has their digest.
        Without labels the digest stays that of the whole file, so that labels that are filled in
        elsewhere are proven to be the same.
        """
        content = dict(files)
        if not self.labels:
            result = json.loads(content["result.json"])
            # setdefault: the digest of the run itself stays.
            result.setdefault(PREDICTIONS_DIGEST, sha256(content["predictions.csv"]).hexdigest())
            content["result.json"] = (json.dumps(result, indent=2) + "\n").encode()
            content["predictions.csv"] = without_labels(content["predictions.csv"])
        if self.key:
            content["predictions.csv"] = self._keyed(content["predictions.csv"])
            digest = sha256(content["predictions.csv"]).hexdigest()
            result = self._keyed_result(json.loads(content["result.json"]), digest)
            content["result.json"] = (json.dumps(result, indent=2) + "\n").encode()
        return content

    def hashed(self, text: str) -> str:
        """Return the keyed hash of an id."""
        return hmac.new(self.key, text.encode(), sha256).hexdigest()[:_LENGTH]

    def _keyed(self, predictions: bytes) -> bytes:
        header, rows = _table(predictions)
        columns = [header.index(name) for name in _ID_COLUMNS]
        for row in rows:
            for column in columns:
                row[column] = self.hashed(unescape(row[column]))
        sets = list(dict.fromkeys(row[0] for row in rows))
        # The order of slides would tell which id is which.
        rows.sort(key=lambda row: (sets.index(row[0]), row[columns[0]]))
        return _text(header, rows)

    def _keyed_result(self, result: Mapping[str, Any], digest: str) -> dict[str, Any]:
        missing = sorted(self.hashed(str(slide)) for slide in result.get("missing", ()))
        notes = [
            {"kind": note.get("kind", "split") if isinstance(note, dict) else "split",
             "text": _WITHHELD}
            for note in result.get("split_notes", ())
        ]  # fmt: skip
        return {**result, "missing": missing, "split_notes": notes, PREDICTIONS_DIGEST: digest}


def read_key(path: Path) -> bytes:
    """Return the key in the file ``path``, which is made with mode 600 where it is not there.

    Raises ``DataError`` for a file that others can read, and for one that holds no key.
    """
    if not path.exists():
        # O_EXCL: never into a file of others; mode set at creation, not after it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise DataError(
            f"{path} has mode {mode:o}, so others can read the key of private ids; set it with "
            f"chmod 600 {path}."
        )
    text = path.read_text(encoding="utf-8").strip()
    if len(text) < 32:
        raise DataError(f"{path} holds no key; expected at least 32 characters.")
    return text.encode()


def without_labels(predictions: bytes) -> bytes:
    """Return a table of predictions with an empty column ``label``."""
    header, rows = _table(predictions)
    column = header.index("label")
    for row in rows:
        row[column] = ""
    return _text(header, rows)


def with_labels(predictions: bytes, labels: Mapping[str, str]) -> bytes:
    """Return a table whose labels were left out with those of ``labels`` (slide id -> label).

    Raises ``KeyError`` for a slide without a label.
    """
    header, rows = _table(predictions)
    column, slide = header.index("label"), header.index("slide_id")
    for row in rows:
        row[column] = escape(labels[unescape(row[slide])])
    return _text(header, rows)


def _table(content: bytes) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    return header, rows


def _text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
