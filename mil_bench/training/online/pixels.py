"""Pixels of the tiles behind stored features, and batches of bags made from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import prefetched, spare_core
from mil_bench.base.errors import SlideError
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.store import BagStore
from mil_bench.extraction.plan import TileGrid, blocks, choose_grid
from mil_bench.extraction.reading import BlockJob, TileReader
from mil_bench.extraction.settings import SlideSource
from mil_bench.extraction.slide import open_slide
from mil_bench.training.online.wrapped import FineTuned


@dataclass(frozen=True)
class FeatureOrigin:
    """How features were extracted: encoder, its weights, tiles of ``tile`` pixels at ``mpp``."""

    encoder: str
    weights: str
    mpp: float
    tile: int


class SlidePixels:
    """Tiles of the bags of ``store``; ``sources`` has the slide of every bag.

    One slide is open at a time.
    """

    def __init__(
        self, store: BagStore, sources: Mapping[str, SlideSource], origin: FeatureOrigin
    ) -> None:
        self.store, self.sources, self.origin = store, sources, origin
        self._tilings: dict[str, TileGrid] = {}
        self._reader = TileReader()

    def read(
        self, slide_id: str, side: int, rows: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield portions of tiles, as they lie together in the slide.

        A portion is indices ``(n,)`` in ``rows`` (``None``: the complete bag) and pixels
        ``(n, side, side, 3)`` uint8.

        Raises ``SlideError`` for a slide that cannot be read.
        """
        coords = self.store.bag_coords(slide_id)
        assert coords is not None, "the origin of the features was checked"
        # level-0 pixels; stored as floats.
        corners = np.round(coords if rows is None else coords[rows]).astype(np.int64)
        path, tiling = self.sources[slide_id].path, self._tiling(slide_id)
        for block in blocks(corners, tiling):
            # One read per block of neighbouring tiles.
            tiles = self._reader.read(BlockJob(path, tiling, block, side))
            # torch takes no negative strides.
            yield torch.from_numpy(block.tiles), torch.from_numpy(np.ascontiguousarray(tiles))

    def tiles(self, slide_id: str, side: int, rows: NDArray[np.int64] | None = None) -> Tensor:
        """Return the tiles ``(n, side, side, 3)`` uint8 of ``rows``, in that order."""
        n = self.store.rows[slide_id][1] if rows is None else len(rows)
        pixels = torch.empty((n, side, side, 3), dtype=torch.uint8)
        for indices, tiles in self.read(slide_id, side, rows):
            pixels[indices] = tiles  # blocks come in the order of the slide
        return pixels

    def _tiling(self, slide_id: str) -> TileGrid:
        """Computed once per slide, and never for slides that are not read."""
        if slide_id not in self._tilings:
            source, origin = self.sources[slide_id], self.origin
            slide = open_slide(source.path)
            try:
                mpp = source.mpp or slide.mpp
                if mpp is None:
                    raise SlideError(
                        f"{source.path} no longer has a pixel size; pass the slides that were "
                        # The extraction would have refused it, so the file was replaced.
                        "extracted with --slides."
                    )
                self._tilings[slide_id] = choose_grid(slide, mpp, origin.mpp, origin.tile)
            finally:
                slide.close()
        return self._tilings[slide_id]


class PixelBags(DeviceBags, ABC):
    """Bags of ``pixels`` for ``method``; everything but the features of a batch is as stored."""

    def __init__(self, pixels: SlidePixels, method: FineTuned, device: torch.device) -> None:
        super().__init__(pixels.store, device, neighbours=method.neighbours)
        self.pixels, self.method = pixels, method
        self.side = method.encoder.card.scaled

    def at_hand(self, slide_ids: Sequence[str]) -> bool:
        """Return ``False``, because slides have to be read."""
        return False

    def batch(
        self,
        slide_ids: Sequence[str],
        *,
        labels: Mapping[str, Tensor] | None = None,
        subsets: Sequence[Tensor | None] | None = None,
    ) -> BagBatch:
        """Return the batch of :meth:`DeviceBags.batch` with the features of :meth:`features`."""
        stored = super().batch(slide_ids, labels=labels, subsets=subsets)
        row_sets = subsets or [None] * len(slide_ids)
        parts = [
            self.features(slide, rows) for slide, rows in zip(slide_ids, row_sets, strict=True)
        ]
        # Order and offsets are those of the stored bags.
        return replace(stored, features=torch.cat(parts))

    @abstractmethod
    def features(self, slide_id: str, rows: Tensor | None) -> Tensor:
        """Return what a batch holds for ``rows`` of one bag."""


class TileBags(PixelBags):
    """For training: tiles ``(n, side * side * 3)`` uint8 on the host, encoded by the method."""

    def features(self, slide_id: str, rows: Tensor | None) -> Tensor:
        """Return the pixels, flattened to rows."""
        indices = None if rows is None else rows.numpy()
        return self.pixels.tiles(slide_id, self.side, indices).flatten(1)


class EncodedBags(PixelBags):
    """For evaluation: features ``(n, D)`` of the encoder as it is now, without gradients.

    Only as many tiles are in memory as are encoded together, while the next ones are read.
    """

    def features(self, slide_id: str, rows: Tensor | None) -> Tensor:
        """Return the features in the order of ``rows``."""
        indices = None if rows is None else rows.numpy()
        encoded: list[Tensor] = []
        order: list[Tensor] = []
        portions = _portions(self.pixels.read(slide_id, self.side, indices), self.method.at_once)
        # Reading the next tiles beside the encoder takes a core, which a CPU run may not have.
        ahead = self.on_cuda or spare_core()
        for places, tiles in prefetched(portions) if ahead else portions:
            order.append(places)
            encoded.append(self.method.encoded(tiles))
        features = torch.cat(encoded)
        # Back from the order of reading.
        return features[torch.cat(order).argsort().to(features.device)]


def _portions(parts: Iterator[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same rows of both tensors, ``size`` at a time."""
    places, tiles = torch.empty(0, dtype=torch.int64), torch.empty(0)
    for more_places, more_tiles in parts:
        places = torch.cat([places, more_places])
        # No copy of the first part.
        tiles = torch.cat([tiles, more_tiles]) if len(tiles) else more_tiles
        while len(places) >= size:
            yield places[:size], tiles[:size]
            places, tiles = places[size:], tiles[size:]
    if len(places):
        yield places, tiles
