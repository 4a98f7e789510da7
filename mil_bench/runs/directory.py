"""A run folder: its files, its status, and the lock that decides who may write there.

``<runs>/<dataset>/<method>/<key>/`` holds ``spec.json``, ``env.json``, ``train.csv``,
``checkpoint.pt``, ``predictions.csv`` and, last, ``result.json``: the commit point. A run that
failed has ``failure.json`` and ``traceback.txt`` instead. Nothing is ever deleted: a run that is
overwritten moves to ``<runs>/.replaced/``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from mil_bench.base.atomic import write_json, write_text
from mil_bench.base.errors import RunError
from mil_bench.base.formats import FORMAT, RUN_FOLDER
from mil_bench.contract.spec import Experiment, RunSpec, read_definition

RunStatus = Literal["done", "failed", "running", "interrupted", "absent"]
PREDICTIONS_DIGEST = "predictions_sha256"
"""Key of ``result.json``; it protects the predictions from changes after the run."""
LOOKING = 0.1  # seconds, longer than `status` holds the lock to see whether it is free


class RunBusyError(RunError):
    """Another process executes this run."""


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run, which may not exist yet."""

    path: Path

    @classmethod
    def of(cls, runs: Path, spec: Experiment) -> RunDirectory:
        """Return the folder of ``spec`` under ``runs``."""
        return cls(runs / spec.dataset / spec.method / spec.key)

    @property
    def spec_path(self) -> Path:
        """The run's definition."""
        return self.path / "spec.json"

    @property
    def env_path(self) -> Path:
        """Versions and machine."""
        return self.path / "env.json"

    @property
    def checkpoint(self) -> Path:
        """State after the last epoch; the best model when the run is done."""
        return self.path / "checkpoint.pt"

    @property
    def predictions(self) -> Path:
        """Probabilities of validation and test slides."""
        return self.path / "predictions.csv"

    @property
    def result(self) -> Path:
        """The commit point."""
        return self.path / "result.json"

    @property
    def failure(self) -> Path:
        """Why the run failed."""
        return self.path / "failure.json"

    @property
    def traceback(self) -> Path:
        """Where it failed."""
        return self.path / "traceback.txt"

    def status(self) -> RunStatus:
        """Return the status; ``interrupted`` is a run that began and neither ended nor runs."""
        # result.json first: a complete run stays complete whatever else is there.
        if self.result.exists():
            return "done"
        if not self.path.exists():
            return "absent"
        if self._is_locked():  # before failure.json: a retry runs in a folder that has one
            return "running"
        return "failed" if self.failure.exists() else "interrupted"

    def read_definition(self) -> Experiment:
        """Return the definition of this run. Raises ``RunError`` when it is unreadable."""
        try:
            return read_definition(json.loads(self.spec_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError, TypeError, AttributeError) as error:
            raise RunError(f"cannot read {self.spec_path} ({error}); is it a run folder?") from None

    def read_spec(self) -> RunSpec:
        """Return the definition of a run that was trained here.

        Raises ``RunError`` when it is unreadable, and for predictions without a training.
        """
        spec = self.read_definition()
        if not isinstance(spec, RunSpec):
            raise RunError(
                f"run {self.path.name} holds {spec.evidence} predictions of {spec.method}, without "
                "a model; choose a run that was trained here."
            )
        return spec

    def read_result(self) -> dict[str, Any]:
        """Return the content of ``result.json``."""
        return self._read(self.result)

    def read_failure(self) -> dict[str, Any]:
        """Return the content of ``failure.json``: ``key``, ``error``, ``when``."""
        return self._read(self.failure)

    def read_environment(self) -> dict[str, Any]:
        """Return the content of ``env.json``."""
        return self._read(self.env_path)

    def begin(self, spec: Experiment) -> None:
        """Write the definition; an earlier failure is kept as ``failure.previous.json``."""
        for path in (self.failure, self.traceback):
            if path.exists():  # two attempts back is overwritten
                path.replace(path.with_name(f"{path.stem}.previous{path.suffix}"))
        write_json(self.spec_path, spec.model_dump(mode="json"))

    def commit(self, result: dict[str, Any]) -> None:
        """Mark the run as done. Everything else must have been written before.

        The atomic write of ``result.json`` is the commit point: a process killed at any earlier
        moment leaves a run that is resumed, never one that counts. It holds the digest of the
        predictions.
        """
        content = {FORMAT: RUN_FOLDER, **result, PREDICTIONS_DIGEST: file_digest(self.predictions)}
        write_json(self.result, {**content, "finished": now()})

    def fail(self, key: str, error: str, trace: str) -> None:
        """Mark the run as failed; keep the sentence and the traceback.

        The traceback is written first, because ``failure.json`` makes the run failed.
        """
        write_text(self.traceback, trace)
        write_json(self.failure, {"key": key, "error": error, "when": now()})

    def fail_without_trace(self, key: str, error: str, trace: str = "") -> None:
        """Mark a run as failed whose process could not begin it, or died without an error."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.fail(key, error, trace or "the process ended without a traceback\n")

    def set_aside(self, runs: Path) -> Path:
        """Move the folder to ``<runs>/.replaced/`` and return its new path."""
        parent = runs / ".replaced" / self.path.relative_to(runs).parent
        parent.mkdir(parents=True, exist_ok=True)
        taken = {p.name for p in parent.iterdir()}
        # The first free number.
        n = next(i for i in range(1, len(taken) + 2) if f"{self.path.name}-{i}" not in taken)
        return self.path.rename(parent / f"{self.path.name}-{n}")

    @contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the run for this process.

        ``flock`` is bound to the open file, so the system frees it however the process ends. A lock
        file with a process id would outlive a kill.

        Raises ``RunBusyError`` when another process holds it for ``patience`` seconds more.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        # a+: creates the file and keeps its text until the lock is ours.
        with self._lock_path.open("a+") as file:
            if not _claim(file, patience):
                file.seek(0)
                raise RunBusyError(
                    f"{file.read() or 'another process'} executes run {self.path.name}; wait for "
                    "it, then rerun the same command."
                )
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()  # others read it while this process holds the lock
            try:
                yield
            finally:
                file.truncate(0)  # a finished run keeps no name of a machine

    @property
    def _lock_path(self) -> Path:
        return self.path / ".lock"

    def _is_locked(self) -> bool:
        try:
            with self._lock_path.open() as file:
                # Shared: does not keep a run from starting for longer than a moment.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"cannot read {path} ({error}).") from None
        return content


def _claim(file: IO[str], patience: float) -> bool:
    """Take the exclusive lock; try again, because ``status`` may hold it for a moment."""
    end = time.monotonic() + max(patience, LOOKING)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(LOOKING / 5)
        else:
            return True


def run_directories(runs: Path) -> list[RunDirectory]:
    """Return every run under ``runs`` in order of path, of any status, without replaced ones."""
    specs = runs.glob("[!.]*/*/*/spec.json")  # hidden folders hold plans and replaced runs
    return [RunDirectory(path.parent) for path in sorted(specs)]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def now() -> str:
    """Return the present time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
