"""The storage of studies: SQLite next to the runs, or PostgreSQL for several machines."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import filelock
import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mil_bench.base.errors import MilBenchError, UsageError

OWNER, ERROR = "owner", "error"  # what an attempt says of itself; the next one replaces it
_LOCK = 0x6D696C62  # of PostgreSQL, shared by all mil-bench processes of a database
_SQLITE_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_POSTGRES_LOCKED = "55P03"  # lock_not_available
_SUPPORTED = "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"


def lasting(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a trial that its next attempt inherits."""
    return {name: value for name, value in attributes.items() if name not in (OWNER, ERROR)}


class StorageError(MilBenchError):
    """The storage of studies cannot be reached, read or locked."""


class Retry(RetryHeartbeatStaleTrialCallback):
    """Requeues a trial whose process died, with the same settings."""

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Requeue the trial; after ``max_retry`` deaths it stays failed."""
        trial.user_attrs = lasting(trial.user_attrs)
        super().__call__(study, trial)


@dataclass(frozen=True)
class StorageRequest:
    """Which storage, and after how many seconds without heartbeat a process counts as dead.

    ``retries`` is how often a trial is tried again after its process died: a trial that ends every
    process must not be tried for ever.
    """

    url: str
    heartbeat: int = 60
    grace: int = 180
    patience: int = 60
    retries: int = 2

    @classmethod
    def beside(cls, runs: Path, url: str | None = None) -> StorageRequest:
        """Return the storage at ``url``, or ``<runs>/.search/tuning.db``."""
        return cls(url or f"sqlite:///{(runs / '.search' / 'tuning.db').absolute()}")

    @property
    def shown(self) -> str:
        """Return the URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """Return the file of a SQLite storage."""
        url = make_url(self.url)
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


class Storage:
    """An open storage; each of its errors is a :class:`StorageError` of one sentence."""

    def __init__(self, request: StorageRequest) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        _check(request.url)
        self.request = request
        self.retry = without_optuna_warnings(Retry, max_retry=request.retries)
        file = request.file
        with self.errors(OSError):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            # SQLite waits for a writer; PostgreSQL has lock_timeout.
            wait = {"timeout": request.patience} if file is not None else {}
            # A connection for locks only: with a pool, a returned connection would keep the lock.
            self._locks = create_engine(request.url, connect_args=wait, poolclass=NullPool)
            with self.exclusive():  # tables are made once
                self.rdb = without_optuna_warnings(
                    RDBStorage,
                    request.url,
                    engine_kwargs={"connect_args": wait, "pool_pre_ping": True},
                    heartbeat_interval=request.heartbeat,
                    grace_period=request.grace,
                    heartbeat_stale_trial_callback=self.retry,
                )

    @contextmanager
    def errors(self, also: type[Exception] = SQLAlchemyError) -> Iterator[None]:
        """Turn errors of the database, and ``also`` these, into one sentence."""
        try:
            yield
        except filelock.Timeout:
            raise self._locked() from None
        except ImportError:
            raise StorageError(
                "PostgreSQL needs the driver psycopg, which is not installed; "
                'pip install "mil-bench[postgres]".'
            ) from None
        except (SQLAlchemyError, StorageInternalError, also) as error:
            cause = " ".join(str(error.__cause__ or error).split())  # of the driver
            if _is_locked(error):
                raise self._locked() from None
            raise StorageError(
                f"cannot use the storage {self.request.shown} ({cause[:200]}); check that it "
                "exists and is writable, then rerun the same command. Nothing is lost."
            ) from error

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock under which trials are assigned, for every machine that uses this storage.

        A file lock for SQLite, an advisory lock for PostgreSQL: both are released when the process
        or its connection dies, which a row in a table would not be.
        """
        file = self.request.file
        with self.errors():
            if file is not None:
                with filelock.FileLock(f"{file}.lock", timeout=self.request.patience):
                    yield
                return  # the file lock ends with the block
            with self._locks.connect() as connection:
                connection.execute(text(f"set lock_timeout = '{self.request.patience}s'"))
                connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
                yield  # the lock ends with its connection

    def _locked(self) -> StorageError:
        return StorageError(
            f"the storage {self.request.shown} has been locked by another process for more than "
            f"{self.request.patience} s; end that process or wait, then rerun the same command. "
            "Nothing is lost."
        )


def _is_locked(error: BaseException) -> bool:
    """Whether a database refused because another connection holds its lock."""
    # Optuna wraps the error of SQLAlchemy, which wraps that of the driver and its code.
    chain = (error, error.__cause__)
    drivers = [driver for e in chain if (driver := getattr(e, "orig", None)) is not None]
    return any(
        getattr(driver, "sqlite_errorcode", 0) & 0xFF in _SQLITE_LOCKED  # without the extension
        or getattr(driver, "sqlstate", "") == _POSTGRES_LOCKED
        for driver in drivers
    )


def _check(url: str) -> None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError(
            f"--storage {url!r} is not a database URL; expected {_SUPPORTED}."
        ) from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise UsageError(f"--storage of {backend} is not supported; expected {_SUPPORTED}.")
    if not parsed.database:
        raise UsageError(f"--storage {url!r} names no file or database; expected {_SUPPORTED}.")


P = ParamSpec("P")
T = TypeVar("T")


def without_optuna_warnings(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call ``call`` without warnings on what this protocol replaces.

    Optuna's heartbeats are experimental and belong to its own loop, which cannot promise an exact
    number of trials; :func:`mil_bench.tuning.trial_queue.heartbeat` records them here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        return call(*args, **options)
