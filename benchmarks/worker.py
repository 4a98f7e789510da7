"""A process for every contestant: backend switches and thread counts are process-wide."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from mil_bench.base.errors import RunError


class Worker:
    """An object made by ``factory`` in a fresh process with ``threads`` threads.

    :meth:`call` runs one of its methods there and waits; the process is idle otherwise. An error
    there is printed there and raised here as ``RunError``.
    """

    def __init__(self, factory: Callable[[], object], threads: int) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, factory), daemon=True)
        with _environment({"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}):
            self._process.start()
        theirs.close()
        self._answer()

    def call(self, name: str, *args: Any) -> Any:
        """Return the value of method ``name`` of the object."""
        self._pipe.send((name, args))
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _answer(self) -> Any:
        try:
            value = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RunError(
                f"a benchmark process ended with exit code {self._process.exitcode}; "
                "-9 means out of memory, choose a smaller workload."
            ) from None
        if isinstance(value, RunError):
            self.close()
            raise value
        return value


def _serve(pipe: Connection, factory: Callable[[], object]) -> None:
    """Answer calls until the other side closes the pipe."""
    try:
        target = factory()
        pipe.send(None)
        while True:
            name, args = pipe.recv()
            pipe.send(getattr(target, name)(*args))
    except EOFError:
        return
    except Exception as error:
        pipe.send(RunError(f"{type(error).__name__}: {error}"))
        raise


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that a child inherits."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
