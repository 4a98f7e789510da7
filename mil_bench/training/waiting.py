"""How long a loop waits for its data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """The same items; ``seconds`` is how long whoever iterates has waited for them so far."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self.seconds = 0.0

    def __iter__(self) -> Iterator[T]:
        items, end = iter(self._items), object()
        while True:
            start = time.perf_counter()
            item = next(items, end)
            self.seconds += time.perf_counter() - start
            if item is end:
                return
            yield item  # type: ignore[misc]
