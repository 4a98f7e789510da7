"""Pixels of the tiles behind the features of a dataset, read again from their slides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.store import BagStore
from mil_bench.errors import SlideError
from mil_bench.extraction.found import Source
from mil_bench.extraction.grid import Tiling, blocks, choose_tiling
from mil_bench.extraction.read import BlockJob, Tiles
from mil_bench.extraction.slide import open_slide


@dataclass(frozen=True)
class Made:
    """How features were extracted: encoder, what its weights were, tiles of ``tile`` at ``mpp``."""

    encoder: str
    weights: str
    mpp: float
    tile: int


class Pixels:
    """Tiles of the bags of ``store``; ``sources`` has the slide of every bag.

    One slide is open at a time.
    """

    def __init__(self, store: BagStore, sources: Mapping[str, Source], made: Made) -> None:
        self.store, self.sources, self.made = store, sources, made
        self._tilings: dict[str, Tiling] = {}
        self._reader = Tiles()

    def read(
        self, slide_id: str, side: int, rows: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Some tiles after the other: places ``(n,)`` in ``rows`` (``None``: all of the bag) and
        pixels ``(n, side, side, 3)`` uint8.

        Raises ``SlideError`` for a slide that cannot be read.
        """
        coords = self.store.bag_coords(slide_id)
        assert coords is not None, "the origin of the features was checked"
        chosen = np.round(coords if rows is None else coords[rows]).astype(np.int64)
        path, tiling = self.sources[slide_id].path, self._tiling(slide_id)
        for block in blocks(chosen, tiling):
            tiles = self._reader.read(BlockJob(path, tiling, block, side))
            yield torch.from_numpy(block.tiles), torch.from_numpy(np.ascontiguousarray(tiles))

    def tiles(self, slide_id: str, side: int, rows: NDArray[np.int64] | None = None) -> Tensor:
        """The tiles ``(n, side, side, 3)`` uint8 of ``rows``, in that order."""
        n = self.store.rows[slide_id][1] if rows is None else len(rows)
        found = torch.empty((n, side, side, 3), dtype=torch.uint8)
        for places, tiles in self.read(slide_id, side, rows):
            found[places] = tiles
        return found

    def _tiling(self, slide_id: str) -> Tiling:
        """Found once per slide, and never for slides that are not read."""
        if slide_id not in self._tilings:
            source, made = self.sources[slide_id], self.made
            slide = open_slide(source.path)
            try:
                mpp = source.mpp or slide.mpp
                if mpp is None:
                    raise SlideError(
                        f"{source.path}: the slide does not say how large a pixel is any more; "
                        "give the slides that were extracted with --slides."
                    )
                self._tilings[slide_id] = choose_tiling(slide, mpp, made.mpp, made.tile)
            finally:
                slide.close()
        return self._tilings[slide_id]
