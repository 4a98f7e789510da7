"""Batches of bags whose features are made from pixels: tiles to train on, features to score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mil_bench.bags.ahead import one_ahead, spare_core
from mil_bench.bags.batch import BagBatch
from mil_bench.bags.device import DeviceBags
from mil_bench.online.fine_tuned import FineTuned
from mil_bench.online.pixels import Pixels


class PixelBags(DeviceBags, ABC):
    """Bags of ``pixels`` for ``method``. All but the features of a batch is as it is stored."""

    def __init__(self, pixels: Pixels, method: FineTuned, device: torch.device) -> None:
        super().__init__(pixels.store, device, neighbours=method.neighbours)
        self.pixels, self.method = pixels, method
        self.side = method.encoder.card.scaled

    def at_hand(self, slide_ids: Sequence[str]) -> bool:
        """Never: slides have to be read."""
        return False

    def batch(
        self,
        slide_ids: Sequence[str],
        *,
        labels: Mapping[str, Tensor] | None = None,
        subsets: Sequence[Tensor | None] | None = None,
    ) -> BagBatch:
        """As :meth:`DeviceBags.batch` with the features of :meth:`features`."""
        stored = super().batch(slide_ids, labels=labels, subsets=subsets)
        chosen = subsets or [None] * len(slide_ids)
        parts = [self.features(slide, rows) for slide, rows in zip(slide_ids, chosen, strict=True)]
        return replace(stored, features=torch.cat(parts))

    @abstractmethod
    def features(self, slide_id: str, rows: Tensor | None) -> Tensor:
        """What a batch holds of ``rows`` of one bag."""


class TileBags(PixelBags):
    """For training: tiles ``(n, side * side * 3)`` uint8 on the host, encoded by the method."""

    def features(self, slide_id: str, rows: Tensor | None) -> Tensor:
        """Their pixels."""
        chosen = None if rows is None else rows.numpy()
        return self.pixels.tiles(slide_id, self.side, chosen).flatten(1)


class EncodedBags(PixelBags):
    """For evaluation: features ``(n, D)`` of the encoder as it is now, without gradients.

    Only as many tiles are in memory as are encoded at once, while the next ones are read.
    """

    def features(self, slide_id: str, rows: Tensor | None) -> Tensor:
        """Features in the order of ``rows``."""
        chosen = None if rows is None else rows.numpy()
        found: list[Tensor] = []
        order: list[Tensor] = []
        portions = _portions(self.pixels.read(slide_id, self.side, chosen), self.method.at_once)
        ahead = self.on_cuda or spare_core()
        for places, tiles in one_ahead(portions) if ahead else portions:
            order.append(places)
            found.append(self.method.encoded(tiles))
        features = torch.cat(found)
        return features[torch.cat(order).argsort().to(features.device)]


def _portions(parts: Iterator[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same rows of both tensors, ``size`` at a time."""
    places, tiles = torch.empty(0, dtype=torch.int64), torch.empty(0)
    for more_places, more_tiles in parts:
        places = torch.cat([places, more_places])
        tiles = torch.cat([tiles, more_tiles]) if len(tiles) else more_tiles
        while len(places) >= size:
            yield places[:size], tiles[:size]
            places, tiles = places[size:], tiles[size:]
    if len(places):
        yield places, tiles
