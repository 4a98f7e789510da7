"""Label trees of any depth.

A :class:`Taxonomy` is an ordered list of leaf classes, each with the path of its ancestors. Levels
run from coarse (first) to leaf (last). A leaf that ends above the deepest level is repeated on the
levels below it, so every level is a partition of the leaves.

Files are TOML or JSON with either a nested ``tree`` or a ``parents`` map::

    name = "bracs"                      name = "bracs"
    [tree]                              leaves = ["N", "PB", "DCIS"]
    benign = ["N", "PB"]                [parents]
    malignant = ["DCIS"]                N = "benign"
                                        ...
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import TaxonomyError, UnknownNameError

LEAF = "leaf"
COARSE = "coarse"


@dataclass(frozen=True)
class Taxonomy:
    """A label tree. ``paths[i]`` are the ancestors of leaf ``i`` from the top, ending in the leaf.

    ``ordered``: the order of the leaves is clinical (grades), so that kappa and ranked scores are
    meaningful. ``titles`` are full names for display.
    """

    name: str
    paths: tuple[tuple[str, ...], ...]
    ordered: bool = False
    titles: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        _check_paths(self.name, self.paths)

    # -- construction ------------------------------------------------------------------------

    @classmethod
    def flat(cls, name: str, leaves: Iterable[str], **kwargs: Any) -> Taxonomy:
        """Make a tree without inner nodes: one level, ``leaf``."""
        return cls(name, tuple((leaf,) for leaf in leaves), **kwargs)

    @classmethod
    def from_tree(cls, name: str, tree: Mapping[str, Any], **kwargs: Any) -> Taxonomy:
        """Make a tree from nested mappings whose innermost values are lists of leaves."""
        return cls(name, tuple(_walk(tree, ())), **kwargs)

    @classmethod
    def from_parents(
        cls, name: str, parents: Mapping[str, str], leaves: Sequence[str] = (), **kwargs: Any
    ) -> Taxonomy:
        """Make a tree from a child-to-parent map. ``leaves`` is the order (default: of the map)."""
        for child, parent in parents.items():
            if not isinstance(parent, str):
                raise TaxonomyError(
                    f"tree {name!r}: {child!r} has the parents {parent!r}; expected exactly one."
                )
        inner = set(parents.values())
        childless = [node for node in parents if node not in inner]
        order = list(leaves) or childless
        unknown = [leaf for leaf in childless if leaf not in order]
        if unknown:
            raise TaxonomyError(
                f"tree {name!r}: {unknown} have a parent but are not among `leaves`; add them."
            )
        return cls(name, tuple(_climb(name, leaf, parents) for leaf in order), **kwargs)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], name: str = "tree") -> Taxonomy:
        """Make a tree from the content of a tree file (see the module's docstring)."""
        name = str(data.get("name", name))
        extra = {"ordered": bool(data.get("ordered", False)), "titles": data.get("titles", {})}
        if "tree" in data:
            return cls.from_tree(name, data["tree"], **extra)
        if "parents" in data:
            return cls.from_parents(name, data["parents"], data.get("leaves", ()), **extra)
        if "leaves" in data:
            return cls.flat(name, data["leaves"], **extra)
        raise TaxonomyError(
            f"tree {name!r} has the keys {sorted(data)}; expected `tree`, `parents` or `leaves`."
        )

    @classmethod
    def load(cls, path: Path) -> Taxonomy:
        """Read a ``.toml`` or ``.json`` tree file."""
        try:
            text = path.read_text(encoding="utf-8")
            pairs = _reject_duplicates
            data = (
                json.loads(text, object_pairs_hook=pairs)
                if path.suffix == ".json"
                else tomllib.loads(text)
            )
        except OSError as error:
            raise TaxonomyError(f"cannot read tree file {path}: {error.strerror}.") from None
        except ValueError as error:
            raise TaxonomyError(
                f"tree file {path} is not valid {path.suffix[1:].upper() or 'TOML'} ({error}); "
                "correct it, and list each class once."
            ) from None
        return cls.from_dict(data, path.stem)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON form that :meth:`from_dict` reads back, at any depth."""
        parents = {
            child: parent for path in self.paths for parent, child in itertools.pairwise(path)
        }
        form: dict[str, Any] = {"parents": parents} if parents else {}
        return {"name": self.name, "ordered": self.ordered, "leaves": list(self.leaves), **form}

    # -- shape -------------------------------------------------------------------------------

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Leaf classes in order; index ``i`` is the integer label everywhere."""
        return tuple(path[-1] for path in self.paths)

    @cached_property
    def depth(self) -> int:
        """Number of levels, 1 for a flat label set."""
        return max(len(path) for path in self.paths)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Level names from the top: ``coarse``, ``level2``..., ``leaf`` (or just ``leaf``)."""
        inner = [COARSE, *(f"level{i}" for i in range(2, self.depth))]
        return (*inner[: self.depth - 1], LEAF)

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class names of every level, in order of their first leaf."""
        columns = {
            level: [_at(path, i) for path in self.paths] for i, level in enumerate(self.levels)
        }
        # In order of first leaf.
        return {level: tuple(dict.fromkeys(column)) for level, column in columns.items()}

    def index(self, leaf: str) -> int:
        """Return the integer label of a leaf. Raises ``UnknownNameError`` for other labels."""
        try:
            return self._index[leaf]
        except KeyError:
            raise UnknownNameError("label", leaf, self.leaves, of=f"tree {self.name!r}") from None

    def ancestor_index(self, level: str) -> NDArray[np.int64]:
        """Return ``(K_leaf,)``: class index at ``level`` of every leaf."""
        position = {name: i for i, name in enumerate(self.classes[level])}
        depth = self.levels.index(level)
        return np.array([position[_at(path, depth)] for path in self.paths], dtype=np.int64)

    def parent_index(self, level: str) -> NDArray[np.int64]:
        """Return ``(K_level,)``: index of the parent of every class at ``level`` (not the top)."""
        above = self.levels[self.levels.index(level) - 1]
        parents = np.zeros(len(self.classes[level]), dtype=np.int64)
        # Every leaf writes the parent of its class.
        parents[self.ancestor_index(level)] = self.ancestor_index(above)
        return parents

    def membership(self, level: str) -> NDArray[np.float64]:
        """Return the 0/1 matrix ``(K_leaf, K_level)`` that sums leaves to classes at ``level``."""
        # The rows of the identity.
        return np.eye(len(self.classes[level]))[self.ancestor_index(level)]

    @cached_property
    def ancestors(self) -> NDArray[np.bool_]:
        """``(K_leaf, nodes)``: which nodes (root excluded) are a leaf or above it."""
        nodes = list(dict.fromkeys(node for path in self.paths for node in path))
        return np.array([[node in path for node in nodes] for path in self.paths])

    @cached_property
    def lca_height(self) -> NDArray[np.float64]:
        """``(K_leaf, K_leaf)``: height of the lowest common ancestor, 0 on the diagonal.

        The height of a node is the longest path down to a leaf (Bertinetto et al., CVPR 2020). The
        root counts: siblings of a two-level tree are 1 apart, other leaves 2. Nodes with a single
        child add nothing, so a level that only repeats classes changes no distance.
        """
        # Nodes that two leaves share.
        shared = (self.ancestors[:, None] & self.ancestors[None]).sum(-1)
        heights = np.empty(shared.shape)
        for i, path in enumerate(self.paths):
            for j in range(len(self.paths)):
                # 0 for a leaf and itself.
                heights[i, j] = self._height(path[: shared[i, j]]) if i != j else 0
        return heights

    def digest(self) -> str:
        """Return the content hash of the tree: names, order and structure."""
        content = json.dumps([self.ordered, self.paths], separators=(",", ":"))
        return sha256(content.encode()).hexdigest()[:12]

    def shuffled(self, seed: int) -> Taxonomy:
        """Return a control: the same shape with the leaves assigned to parents at random."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.paths))
        paths = [(*self.paths[order[i]][:-1], path[-1]) for i, path in enumerate(self.paths)]
        return Taxonomy(f"{self.name}-shuffled", tuple(paths), self.ordered, self.titles)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {leaf: i for i, leaf in enumerate(self.leaves)}

    def _height(self, prefix: tuple[str, ...]) -> int:
        below = (p for p in self.paths if p[: len(prefix)] == prefix)
        return max(
            # A single child adds no height.
            sum(len(self._children[path[:depth]]) > 1 for depth in range(len(prefix), len(path)))
            for path in below
        )

    @cached_property
    def _children(self) -> dict[tuple[str, ...], set[str]]:
        children: dict[tuple[str, ...], set[str]] = {}
        for path in self.paths:
            for depth, node in enumerate(path):
                children.setdefault(path[:depth], set()).add(node)
        return children


def _at(path: tuple[str, ...], depth: int) -> str:
    return path[min(depth, len(path) - 1)]  # a short path repeats its leaf


def _walk(tree: Any, above: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    if isinstance(tree, Mapping):
        for node, below in tree.items():
            yield from _walk(below, (*above, str(node)))
    elif isinstance(tree, Sequence) and not isinstance(tree, str):
        for leaf in tree:
            yield from _walk(leaf, above) if isinstance(leaf, Mapping) else [(*above, str(leaf))]
    else:
        raise TaxonomyError(
            f"tree node {'/'.join(above)} holds {tree!r}; expected a list of leaves or sub-nodes."
        )


def _climb(name: str, leaf: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    path = [leaf]
    while path[-1] in parents:
        parent = parents[path[-1]]
        if parent in path:
            cycle = " -> ".join([*path[path.index(parent) :], parent])
            raise TaxonomyError(f"tree {name!r} has a cycle ({cycle}); remove one of its edges.")
        path.append(parent)
    return tuple(reversed(path))


def _check_paths(name: str, paths: Sequence[tuple[str, ...]]) -> None:
    if len(paths) < 2:
        raise TaxonomyError(f"tree {name!r} has {len(paths)} leaves; expected at least two.")
    parents: dict[str, dict[str, None]] = {}
    for path in paths:
        for above, node in zip(("", *path), path, strict=False):
            if not node or node != node.strip():
                raise TaxonomyError(f"tree {name!r}: {node!r} is empty or has outer blanks.")
            parents.setdefault(node, {})[above] = None
    ambiguous = {node: [*above] for node, above in parents.items() if len(above) > 1}
    if ambiguous:
        raise TaxonomyError(f"tree {name!r}: {_list_parents(ambiguous)}; keep one parent each.")
    inner = {node for path in paths for node in path[:-1]}
    leaves = [path[-1] for path in paths]
    bad = sorted({leaf for leaf in leaves if leaf in inner or leaves.count(leaf) > 1})
    if bad:
        raise TaxonomyError(
            f"tree {name!r}: {bad} occur twice or are both a leaf and an inner node; rename them."
        )


def _list_parents(ambiguous: Mapping[str, Sequence[str]]) -> str:
    """``'a' has two parents (x and y); 'b' has 3 parents (...)``."""
    return "; ".join(
        f"{node!r} has {'two' if len(above) == 2 else len(above)} parents "
        f"({' and '.join(parent or 'the top' for parent in above)})"
        for node, above in ambiguous.items()
    )


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise ValueError(f"key {repeated[0]!r} occurs twice")
    return dict(pairs)
