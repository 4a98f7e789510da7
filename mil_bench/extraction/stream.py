"""Blocks of pixels of all slides in turn, read by worker processes ahead of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from torch import Tensor
from torch.utils.data import DataLoader

from mil_bench.errors import MilBenchError
from mil_bench.extraction.found import Source
from mil_bench.extraction.plan import Planned, SlidePlan
from mil_bench.extraction.read import BlockJob, Tiles

PREFETCH = 4  # blocks that each worker may be ahead

Pixels = tuple[Tensor, Tensor, Tensor]


def stream(
    plans: Iterable[Planned],
    pixels: int,
    workers: int,
    refused: Callable[[Source, str], None],
) -> Iterator[tuple[SlidePlan, Iterator[Pixels]]]:
    """Every plan with the items of its blocks (see :class:`Tiles`), in order.

    Slides without a plan are told to ``refused``. While one slide is encoded, workers read on, into
    the next one too. The items of a slide must be used up before the next slide is asked for.
    """
    started: list[SlidePlan] = []

    def jobs() -> Iterator[BlockJob]:
        for planned in plans:
            if not isinstance(planned, SlidePlan):
                refused(*planned)
                continue
            started.append(planned)
            for block in planned.blocks:
                yield BlockJob(planned.source.path, planned.tiling, block, pixels)

    loader = DataLoader(
        Tiles(),
        sampler=cast(Any, jobs()),  # any iterable of keys will do
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
    )
    items = _told(iter(loader))
    for first in items:
        plan = started.pop(0)
        yield plan, _some(first, items, len(plan.blocks) - 1)


def _some(first: Pixels, items: Iterator[Pixels], more: int) -> Iterator[Pixels]:
    yield first
    for _ in range(more):
        yield next(items)


def _told(items: Iterator[Pixels]) -> Iterator[Pixels]:
    try:
        yield from items
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        raise MilBenchError(
            f"a process that reads slides was lost ({str(error).splitlines()[0]}), often for want "
            "of memory; give fewer --workers and the same command again, finished slides are kept."
        ) from None
