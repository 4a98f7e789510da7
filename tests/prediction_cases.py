"""Random and hand-made predictions for the tests of scores and boards."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.predictions import Predictions

BRACS = Taxonomy.from_tree(
    "bracs",
    {"benign": ["N", "PB", "UDH"], "atypical": ["FEA", "ADH"], "malignant": ["DCIS", "IC"]},
)
GRADES = Taxonomy.from_tree(
    "risk", {"benign": ["0"], "low": ["1"], "mid": ["2", "3"], "high": ["4", "5"]}, ordered=True
)
DEEP = Taxonomy.from_tree(
    "deep",
    {"negative": ["NILM"], "positive": {"low": ["ASC-US", "LSIL"], "high": ["HSIL", "SCC"]}},
)
FLAT = Taxonomy.flat("musk", ["no", "yes"])
TREES = (BRACS, GRADES, DEEP, FLAT)


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def make(tree, labels, heads, groups=None):
    """Predictions from plain lists."""
    n = len(labels)
    return Predictions(
        tree,
        np.array([f"s{i}" for i in range(n)]),
        np.array(groups if groups is not None else [f"p{i}" for i in range(n)]),
        np.array(labels, dtype=np.int64),
        {level: np.asarray(p, dtype=np.float64) for level, p in heads.items()},
    )


def random_predictions(tree=BRACS, n=200, seed=0, *, skill=0.0, heads=(), ties=False, labels=None):
    """Random probabilities; ``skill`` pulls them to the truth, ``ties`` rounds them coarsely."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(tree.leaves), n) if labels is None else np.asarray(labels)

    def head(level):
        truth = tree.ancestor_index(level)[y]
        k = len(tree.classes[level])
        logits = rng.normal(size=(len(y), k)) + skill * np.eye(k)[truth]
        if ties:
            logits = np.round(logits)
        return softmax(logits)

    probs = {LEAF: head(LEAF), **{level: head(level) for level in heads}}
    return make(tree, y, probs, groups=[f"p{g}" for g in rng.integers(0, len(y), len(y))])


def decided(tree, labels, leaves, **upper):
    """Predictions that put everything on the given class indices."""
    heads = {LEAF: np.eye(len(tree.leaves))[list(leaves)]}
    for level, chosen in upper.items():
        heads[level] = np.eye(len(tree.classes[level]))[list(chosen)]
    return make(tree, list(labels), heads)


@st.composite
def predictions(draw, trees=TREES, upper=True):
    """Predictions of any tree, with random heads, ties, missing classes and few slides."""
    tree = draw(st.sampled_from(trees))
    inner = tree.levels[:-1]
    heads = tuple(v for v in inner if draw(st.booleans())) if upper else ()
    classes = draw(st.sets(st.sampled_from(range(len(tree.leaves))), min_size=1))
    n = draw(st.integers(1, 40))
    labels = draw(st.lists(st.sampled_from(sorted(classes)), min_size=n, max_size=n))
    return random_predictions(
        tree,
        seed=draw(st.integers(0, 10_000)),
        skill=draw(st.sampled_from([0.0, 1.0, 4.0])),
        heads=heads,
        ties=draw(st.booleans()),
        labels=labels,
    )
