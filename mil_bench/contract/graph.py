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
    """Graphs of a store's bags, each made when first used and kept in memory.

    They take 64 bytes per patch with 8 neighbours. The store must have coordinates.
    """

    def __init__(self, store: BagStore, k: int) -> None:
        self._store, self._k = store, k
        self._edges: dict[str, Tensor] = {}

    def packed(self, slide_ids: Sequence[str], subsets: Sequence[Tensor | None]) -> Tensor:
        """Return ``(2, E)`` int64 on the host: edges of a batch between its packed rows.

        Graphs of ``subsets`` connect only the chosen patches and are not kept.
        """
        graphs, sizes = [], []
        for slide, subset in zip(slide_ids, subsets, strict=True):
            if subset is None:
                graphs.append(self._whole(slide))
                sizes.append(self._store.rows[slide][1])
            else:
                graphs.append(torch.from_numpy(nearest_edges(self._coords(slide)[subset], self._k)))
                sizes.append(len(subset))  # positions within the subset
        starts = accumulate(sizes, initial=0)
        return torch.cat(
            # Packed rows.
            [edges.long() + start for edges, start in zip(graphs, starts, strict=False)],
            1,
        )

    def _whole(self, slide: str) -> Tensor:
        if slide not in self._edges:
            edges = nearest_edges(self._coords(slide), self._k)
            self._edges[slide] = torch.from_numpy(edges)
        return self._edges[slide]

    def _coords(self, slide: str) -> NDArray[np.float64]:
        coords = self._store.bag_coords(slide)
        assert coords is not None
        return coords


def batch_edges(coords: Tensor, batch: BagBatch, k: int) -> Tensor:
    """Compute the edges ``(2, E)`` int64 of a batch from its coordinates ``(sum N, 2)``."""
    starts = accumulate(batch.sizes, initial=0)
    # On the host: the tree is scipy's.
    parts = torch.split(coords.detach().cpu().double(), list(batch.sizes))
    edges = [
        torch.from_numpy(nearest_edges(xy.numpy(), k)).long() + start
        for start, xy in zip(starts, parts, strict=False)
    ]
    return torch.cat(edges, 1).to(coords.device)


def with_edges(batch: BagBatch, neighbours: int) -> BagBatch:
    """Return ``batch`` with the edges that a method of so many ``neighbours`` requires.

    Return ``batch`` itself for 0 neighbours, and where there are no coordinates.
    """
    if not neighbours or batch.coords is None:
        return batch
    return replace(batch, edges=batch_edges(batch.coords, batch, neighbours))


def nearest_edges(coords: NDArray[np.floating], k: int) -> NDArray[np.int32]:
    """Return ``(2, N min(k, N - 1))``: every patch (row 0) and each of its nearest ones (row 1).

    The result is exact. Of patches at equal distance the one with the smaller ``x``, then the
    smaller ``y`` is nearer: the graph does not depend on the order of the file. Of patches at the
    same place the first in the file is nearer.
    """
    xy = np.asarray(coords, np.float64)
    n, k = len(xy), min(k, len(xy) - 1)
    if k == 0:
        return np.empty((2, 0), np.int32)
    rank = np.empty(n, np.int64)
    # The tie-breaker: x, then y, then the file.
    rank[np.lexsort((xy[:, 1], xy[:, 0]))] = np.arange(n)
    tree, nearest = cKDTree(xy), np.empty((n, k), np.int32)
    open_rows, looked_at = np.arange(n), k + 1  # the patch itself is among them
    while len(open_rows):
        looked_at = min(n, looked_at + _SPARE)  # more at each round, for the open ones only
        near = tree.query(xy[open_rows], looked_at)[1]
        # Squares of whole numbers are exact; the roots that the tree returns could tie by rounding.
        far = np.square(xy[near] - xy[open_rows, None]).sum(2)
        far[near == open_rows[:, None]] = -1  # the patch itself, before all others
        order = np.lexsort((rank[near], far))
        near, far = (np.take_along_axis(array, order, 1) for array in (near, far))
        # The k-th neighbour is certain once something farther than it has been seen.
        certain = (far[:, k] < far[:, -1]) | (looked_at == n)
        nearest[open_rows[certain]] = near[certain, 1 : k + 1]  # without itself
        open_rows, looked_at = open_rows[~certain], 2 * looked_at
    return np.stack([np.repeat(np.arange(n, dtype=np.int32), k), nearest.ravel()])
