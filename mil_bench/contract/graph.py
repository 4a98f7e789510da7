"""The graph of the nearest patches of every patch, by coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from mil_bench.contract.batch import BagBatch
from mil_bench.contract.store import BagStore

_SPARE = 8  # further patches looked at first, for ties


class Graphs:
    """The graphs of a store's bags, each made when it is first asked for and kept in memory.

    64 bytes per patch with 8 neighbours. The store must have coordinates.
    """

    def __init__(self, store: BagStore, k: int) -> None:
        self._store, self._k = store, k
        self._made: dict[str, Tensor] = {}

    def packed(self, slide_ids: Sequence[str], subsets: Sequence[Tensor | None]) -> Tensor:
        """``(2, E)`` int64 on the host: edges of a batch between its packed rows.

        Graphs of ``subsets`` are between the chosen patches alone and are not kept.
        """
        graphs, sizes = [], []
        for slide, subset in zip(slide_ids, subsets, strict=True):
            if subset is None:
                graphs.append(self._whole(slide))
                sizes.append(self._store.rows[slide][1])
            else:
                graphs.append(torch.from_numpy(nearest_edges(self._coords(slide)[subset], self._k)))
                sizes.append(len(subset))
        starts = accumulate(sizes, initial=0)
        return torch.cat(
            [one.long() + start for one, start in zip(graphs, starts, strict=False)], 1
        )

    def _whole(self, slide: str) -> Tensor:
        if slide not in self._made:
            edges = nearest_edges(self._coords(slide), self._k)
            self._made[slide] = torch.from_numpy(edges)
        return self._made[slide]

    def _coords(self, slide: str) -> NDArray[np.float64]:
        coords = self._store.bag_coords(slide)
        assert coords is not None
        return coords


def batch_edges(coords: Tensor, batch: BagBatch, k: int) -> Tensor:
    """``(2, E)`` int64: the edges of a batch that has none, from ``(sum N, 2)`` coordinates."""
    starts = accumulate(batch.sizes, initial=0)
    parts = torch.split(coords.detach().cpu().double(), list(batch.sizes))
    edges = [
        torch.from_numpy(nearest_edges(xy.numpy(), k)).long() + start
        for start, xy in zip(starts, parts, strict=False)
    ]
    return torch.cat(edges, 1).to(coords.device)


def with_edges(batch: BagBatch, neighbours: int) -> BagBatch:
    """``batch`` with the edges that a method of so many ``neighbours`` is given.

    Itself where none are asked for, or where there are no coordinates to make them of.
    """
    if not neighbours or batch.coords is None:
        return batch
    return replace(batch, edges=batch_edges(batch.coords, batch, neighbours))


def nearest_edges(coords: NDArray[np.floating], k: int) -> NDArray[np.int32]:
    """``(2, N min(k, N - 1))``: every patch (row 0) and each of its nearest ones (row 1).

    Exact. Of patches equally far the one with the smaller ``x``, then the smaller ``y`` is nearer,
    so that the graph does not depend on the order of the file; of patches at the same place the
    one that comes first in it.
    """
    xy = np.asarray(coords, np.float64)
    n, k = len(xy), min(k, len(xy) - 1)
    if k == 0:
        return np.empty((2, 0), np.int32)
    rank = np.empty(n, np.int64)
    rank[np.lexsort((xy[:, 1], xy[:, 0]))] = np.arange(n)
    tree, nearest = cKDTree(xy), np.empty((n, k), np.int32)
    open_rows, looked_at = np.arange(n), k + 1
    while len(open_rows):
        looked_at = min(n, looked_at + _SPARE)
        found = tree.query(xy[open_rows], looked_at)[1]
        far = np.square(xy[found] - xy[open_rows, None]).sum(2)
        far[found == open_rows[:, None]] = -1  # the patch itself, before all others
        order = np.lexsort((rank[found], far))
        found, far = (np.take_along_axis(one, order, 1) for one in (found, far))
        # The k-th neighbour is certain once something farther than it has been seen.
        certain = (far[:, k] < far[:, -1]) | (looked_at == n)
        nearest[open_rows[certain]] = found[certain, 1 : k + 1]
        open_rows, looked_at = open_rows[~certain], 2 * looked_at
    return np.stack([np.repeat(np.arange(n, dtype=np.int32), k), nearest.ravel()])
