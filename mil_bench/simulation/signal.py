"""Patch features with a known hierarchical signal.

A patch is tissue (one of a few types, mixed by patient) + the look of its site + noise. A witness
patch of a class adds one direction per node of the class's path, the same for every slide: coarse
first, leaf weaker. So coarse classes are easier than leaves, as in the real cohorts. A slide has
witnesses of its class and may have some of milder classes, never of more severe ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.simulation.plan import Rng

TISSUES = 6
TISSUE_SCALE = 3.0  # lengths, in deviations of the noise per feature
SITE_SCALE, PATIENT_SCALE = 1.5, 1.0
COARSE_SCALE, LEAF_SCALE = 4.0, 2.5
OWN_RATE = (0.02, 0.15)  # share of witness patches of the slide's class, log-uniform
MILDER_RATE = (0.01, 0.08)
MILDER_CHANCE = 0.4
NO_WITNESS = -1


@dataclass(frozen=True)
class Signal:
    """Directions in feature space. ``classes`` ``(K_leaf, D)``, ``tissues`` ``(T, D)``."""

    seed: int
    classes: NDArray[np.float64]
    tissues: NDArray[np.float64]

    @classmethod
    def draw(cls, taxonomy: Taxonomy, dim: int, seed: int) -> Signal:
        """Return random unit directions for every node of the tree and every tissue."""
        rng = np.random.default_rng(seed)
        classes = np.zeros((len(taxonomy.leaves), dim))
        for depth, level in enumerate(taxonomy.levels):
            scale = LEAF_SCALE if depth == taxonomy.depth - 1 else COARSE_SCALE
            nodes = _directions(rng, len(taxonomy.classes[level]), dim)
            # (K_leaf, D): the path adds up
            classes += scale * nodes[taxonomy.ancestor_index(level)]
        return cls(seed, classes, TISSUE_SCALE * _directions(rng, TISSUES, dim))

    def bag(
        self, rng: Rng, witnesses: NDArray[np.int64], patient: int, site: int
    ) -> NDArray[np.float64]:
        """Return ``(N, D)`` features of a slide; ``witnesses`` ``(N,)`` leaf index or
        ``NO_WITNESS``.

        Slides of one ``patient`` (and of one ``site``) share their shift and tissue mixture.
        """
        dim = self.classes.shape[1]
        # Seeded by patient alone: the same in every order of slides.
        look = np.random.default_rng([self.seed, 1, patient])
        mixture = look.dirichlet(np.ones(TISSUES))
        shift = PATIENT_SCALE * _directions(look, 1, dim)
        shift += SITE_SCALE * _directions(np.random.default_rng([self.seed, 2, site]), 1, dim)
        tissue = rng.choice(TISSUES, size=len(witnesses), p=mixture)
        # (N, D); noise of deviation 1 per feature
        features = self.tissues[tissue] + shift + rng.normal(size=(len(witnesses), dim))
        marked = witnesses != NO_WITNESS
        features[marked] += self.classes[witnesses[marked]]
        return features


def draw_witnesses(rng: Rng, label: int, coords: NDArray[np.int64], tile: int) -> NDArray[np.int64]:
    """Return ``(N,)`` leaf index of every patch, ``NO_WITNESS`` outside lesions.

    ``label`` is the slide's leaf; leaf 0 is normal tissue and has no witnesses. Every class fills
    one compact lesion: the patches nearest to a random one, up to some noise. The slide's own
    class comes last, so milder lesions never hide it.
    """
    n = len(coords)
    witnesses = np.full(n, NO_WITNESS)
    milder = [leaf for leaf in range(1, label) if rng.random() < MILDER_CHANCE]
    for leaf in [*milder, label] if label else []:
        low, high = OWN_RATE if leaf == label else MILDER_RATE
        # Log-uniform between the rates.
        size = max(1, round(n * low * (high / low) ** rng.random()))
        centre = coords[rng.integers(n)]
        # Exponential noise blurs the edge of a lesion.
        distance = np.linalg.norm((coords - centre) / tile, axis=1) + rng.exponential(1.0, size=n)
        witnesses[np.argsort(distance, kind="stable")[:size]] = leaf
    return witnesses


def draw_coords(rng: Rng, n: int, tile: int) -> NDArray[np.int64]:
    """Return ``(n, 2)`` top-left corners ``(x, y)`` of tiles on a grid, row by row, in two tissue
    pieces.

    ``tile`` is the grid step in level-0 pixels.
    """
    side = int(np.ceil(np.sqrt(3 * n)))  # room for tissue in a third of the grid
    y, x = np.divmod(np.arange(side * side), side)
    pieces = rng.uniform(0.25, 0.75, size=(2, 2)) * side
    # 1.3: pieces are wider than high.
    distance = np.min([np.hypot(x - px, (y - py) * 1.3) for px, py in pieces], axis=0)
    distance += rng.uniform(0, 0.05 * side, size=side * side)
    chosen = np.sort(np.argsort(distance, kind="stable")[:n])  # sorted: row by row again
    return np.stack([x[chosen], y[chosen]], axis=1) * tile


def _directions(rng: Rng, n: int, dim: int) -> NDArray[np.float64]:
    directions = rng.normal(size=(n, dim))
    unit: NDArray[np.float64] = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return unit
