"""One generic registry for everything that users name: methods, datasets, encoders.

Entries are lazy: listing names imports nothing heavy. Duplicates are errors, unknown names get
suggestions. Other packages add entries through an entry-point group, files through ``--plugin``.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, cast

from mil_bench.base.errors import MilBenchError, UnknownNameError, UsageError

T = TypeVar("T")
D = TypeVar("D")
OURS = "mil-bench"
PLUGIN = "mil_bench_plugin_"
"""Prefix of the module names of ``--plugin`` files."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Entry:
    """A name, the object behind it (or ``"module:attribute"``), and where it came from."""

    name: str
    summary: str
    target: object
    origin: str


class Registry(Generic[T]):
    """Names of one ``kind`` (``"method"``), extensible through the entry-point group ``group``.

    ``check`` gets the name and the object of every contributed entry before it is returned, and
    raises if something is missing.
    """

    insertions: ClassVar[int] = 0
    """Number of entries added to all registries so far."""

    def __init__(
        self, kind: str, group: str, check: Callable[[str, object], None] | None = None
    ) -> None:
        self.kind, self.group, self.check = kind, group, check
        self._entries: dict[str, Entry] = {}
        self._plugins_loaded = False

    def add(self, name: str, target: str | T, summary: str, origin: str = OURS) -> None:
        """Register an object, or a ``"module:attribute"`` that is imported when first used."""
        self._insert(Entry(name, summary, target, origin))

    def register(self, name: str, summary: str = "") -> Callable[[D], D]:
        """Return a class decorator for entries outside the package, such as ``--plugin`` files."""
        if callable(name):  # @METHODS.register without its name
            raise UsageError(
                f"register requires the name of the {self.kind}: write "
                f"@{self.kind.upper()}S.register('my-{self.kind}')."
            )

        def decorate(obj: D) -> D:
            doc = (getattr(obj, "__doc__", None) or "").strip().split("\n")[0]
            self._insert(Entry(name, summary or doc, obj, _origin(obj)))
            return obj

        return decorate

    def get(self, name: str) -> T:
        """Return the object of an entry. Raises ``UnknownNameError`` with suggestions."""
        self._load_plugins()
        if name not in self._entries:
            raise UnknownNameError(
                self.kind, name, self._entries, f"`mil-bench list {self.kind}s` shows all."
            )
        entry = self._entries[name]
        if entry.origin == OURS:
            return cast(T, _resolved(entry.target))  # ours are checked by tests
        try:
            target = _resolved(entry.target)
        except Exception as error:
            from mil_bench.base.error_location import place_of

            where = place_of(error) or entry.target
            raise UsageError(
                f"{self.kind} {name!r} of the package {entry.origin} cannot be imported ({where}: "
                f"{type(error).__name__}: {error}); fix or uninstall the package."
            ) from error
        if self.check:
            self.check(name, target)
        return cast(T, target)

    def names(self) -> list[str]:
        """Return every registered name, in order of registration."""
        return [entry.name for entry in self]

    def summary(self, name: str) -> str:
        """Return the line about ``name`` that lists show; ``name`` must be registered."""
        self._load_plugins()
        return self._entries[name].summary

    def __iter__(self) -> Iterator[Entry]:
        self._load_plugins()
        return iter(list(self._entries.values()))

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        return name in self._entries

    def _insert(self, entry: Entry) -> None:
        if not _NAME.fullmatch(entry.name):
            raise MilBenchError(
                f"{self.kind} {entry.name!r} from {entry.origin} is not a valid folder name; use "
                "letters, digits, `-`, `_` and `.`."
            )
        existing = self._entries.get(entry.name)
        # The same entry again: a module imported twice.
        if existing is not None and existing != entry:
            raise MilBenchError(
                f"{self.kind} {entry.name!r} from {entry.origin} is already registered by "
                f"{existing.origin}; rename one of them."
            )
        self._entries[entry.name] = entry
        Registry.insertions += 1

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True  # before loading: an entry may use the registry
        from importlib.metadata import entry_points  # slow to import; help needs no registry

        for point in entry_points(group=self.group):
            from mil_bench.base.error_location import CONTRIBUTED

            origin = point.dist.name if point.dist else point.value
            CONTRIBUTED.add(point.module.partition(".")[0])
            try:
                self.add(point.name, point.value, f"from {origin}", origin)
            except MilBenchError as error:  # one package must not stop the others
                print(f"warning: {error}", file=sys.stderr)


def _resolved(target: object) -> object:
    """The object that ``"module:attribute"`` names; anything else is returned unchanged."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _origin(thing: object) -> str:
    """The file of the plug-in, else the module, that defines ``thing``."""
    module = getattr(thing, "__module__", "?")
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).name if file and module.startswith(PLUGIN) else module


# Plug-ins, files that register methods or datasets: ``--plugin FILE.py``.


def load_plugins(paths: Sequence[Path]) -> None:
    """Import each file once. Raises ``UsageError`` when one is missing or fails to import.

    A file that registers nothing causes a warning only, because the command may not depend on it.
    """
    for path in paths:
        name = module_name(path)
        if name in sys.modules:
            continue
        before = Registry.insertions
        _load(path, name)
        if Registry.insertions == before:
            print(
                f"warning: plug-in {path} registers nothing; put @METHODS.register('my-mil') above "
                "a class (docs/add-a-method.md).",
                file=sys.stderr,
            )


def _load(path: Path, name: str) -> None:
    resolved = path.resolve()
    if not resolved.is_file():
        what = "is a folder" if resolved.is_dir() else "does not exist"
        raise UsageError(f"plug-in {path} {what}; expected a Python file.")
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise UsageError(f"plug-in {path} is not a Python file; expected a name ending in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before execution, as Python's import does
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        from mil_bench.base.error_location import place_of

        del sys.modules[name]  # a corrected file can be loaded again
        where = place_of(error)
        raise UsageError(
            f"plug-in {path}{where and f' ({where})'}: {_description(error)}"
        ) from error


def _description(error: Exception | SystemExit) -> str:
    if isinstance(error, MilBenchError):
        return str(error)
    if isinstance(error, SystemExit):
        return 'it ends the process; put that under `if __name__ == "__main__":`.'
    what = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
    return f"{type(error).__name__}: {what}; correct it."


def module_name(path: Path) -> str:
    """Return the module name of a plug-in, which depends on its folder as well as on its name."""
    # Two files of one name in different folders are two plug-ins.
    resolved = path.resolve()
    digest = sha256(str(resolved).encode()).hexdigest()[:8]
    return f"{PLUGIN}{resolved.stem}_{digest}"
