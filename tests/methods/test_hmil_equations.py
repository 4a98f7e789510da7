"""HMIL against a restatement of the paper's equations in NumPy, one bag and one class at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.methods.hmil.method import HMIL

DIM = 6
SIZES = (5, 1, 9, 3, 4)
TWO = Taxonomy.from_parents("two", {"a": "x", "b": "y", "c": "x", "d": "z", "e": "y"})
THREE = Taxonomy.from_tree("three", {"x": {"p": ["a", "b"], "q": ["c"]}, "y": {"r": ["d", "e"]}})
LABELS = [0, 2, 2, 4, 0]


def model_and_batch(tree, **options):
    torch.manual_seed(3)
    widths = {"embed_dim": 7, "fine_dim": 5, "coarse_attention_dim": 4, "fine_attention_dim": 3}
    model = HMIL(HMILConfig(**widths, **options), DIM, tree).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.8)
    bags = [torch.randn(n, DIM, dtype=torch.float64) for n in SIZES]
    return model, BagBatch.pack(bags, labels={"leaf": torch.tensor(LABELS)})


class Reference:
    """The equations, reading the weights by name. ``levels`` run from coarse to leaf."""

    def __init__(self, model, batch):
        self.w = {k: v.detach().numpy() for k, v in model.named_parameters()}
        self.config, self.tree = model.config, model.taxonomy
        self.bags = [bag.features.numpy() for bag in batch.bags()]
        self.heads = [self.forward(x) for x in self.bags]

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def step(self, name, x):
        return self.linear(f"{name}.1", np.maximum(self.linear(f"{name}.0.0", x), 0))

    def features(self, x):
        h = x if self.config.coarse_features == "offline" else self.step("net.features.stem", x)
        out = {self.tree.levels[0]: h}
        for depth, level in enumerate(self.tree.levels[1:]):
            name = f"net.features.steps.{level}"
            single = depth == 0 and self.config.coarse_features == "embedded"
            h = self.linear(name, h) if single else self.step(name, h)
            out[level] = h
        return out

    def forward(self, x):
        out = {}
        for level, h in self.features(x).items():
            net = f"net.branches.{level}"
            v = np.tanh(self.linear(f"{net}.attention.value", h))
            u = 1 / (1 + np.exp(-self.linear(f"{net}.attention.gate", h)))
            attention = softmax(self.linear(f"{net}.attention.score", v * u), axis=0).T
            bags = attention @ h
            weight, bias = (self.w[f"{net}.classifier.linear.{p}"] for p in ("weight", "bias"))
            own = [min(k, len(weight) - 1) for k in range(len(bags))]
            logits = np.array([bags[k] @ weight[i] + bias[i] for k, i in enumerate(own)])
            out[level] = {"A": attention, "B": bags, "z": logits}
        return out

    def label(self, bag, level):
        return int(self.tree.ancestor_index(level)[LABELS[bag]])

    def ce(self, level):
        return np.mean(
            [-log_softmax(h[level]["z"])[self.label(b, level)] for b, h in enumerate(self.heads)]
        )

    def ia(self, upper, lower):
        parents, values = self.tree.parent_index(lower), []
        for head in self.heads:
            a, fine = head[upper]["A"], head[lower]["A"]
            summed = np.stack([fine[parents == k].sum(0) for k in range(len(a))])
            if self.config.alignment_axis == "classes":
                a, summed = a.T, summed.T
            dots = [p @ q for p, q in zip(a, summed, strict=True)]
            norms = np.linalg.norm(a, axis=1) * np.linalg.norm(summed, axis=1)
            values.append(np.mean(1 - dots / norms))
        return np.mean(values)

    def ba(self, upper, lower):
        parents, values = self.tree.parent_index(lower), []
        for b, head in enumerate(self.heads):
            p = softmax(head[lower]["z"])
            values.append(-np.log(p[parents == self.label(b, upper)].sum()))
        return np.mean(values)

    def con(self):
        vectors, labels = [], []
        for b, head in enumerate(self.heads):
            rows = head["leaf"]["B"]
            rows = rows[LABELS[b]][None] if self.config.contrast == "true_class" else rows
            vectors += [row / np.linalg.norm(row) for row in rows]
            labels += [LABELS[b]] * len(rows)
        total = 0.0
        for i, anchor in enumerate(vectors):
            others = [j for j in range(len(vectors)) if j != i]
            scores = np.array([anchor @ vectors[j] for j in others]) / self.config.temperature
            positive = np.array([labels[j] == labels[i] for j in others])
            if positive.any():
                total -= np.mean(scores[positive] - logsumexp(scores))
        return total / len(vectors)


OPTIONS = [
    {},
    {"classifier": "shared"},
    {"contrast": "all_classes", "temperature": 0.4},
    {"alignment_axis": "classes"},
    {"coarse_features": "embedded"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_two_levels_give_the_total_of_the_paper(options):
    options = {"classifier": "per_class", "contrast": "true_class", **options}
    options = {"coarse_features": "offline", "alignment_axis": "instances", **options}
    model, batch = model_and_batch(TWO, **options)
    paper = Reference(model, batch)
    ce_c, ia, ba = paper.ce("coarse"), paper.ia("coarse", "leaf"), paper.ba("coarse", "leaf")
    ce_f, con = paper.ce("leaf"), paper.con()
    for e, epochs in ((0, 200), (37, 200), (199, 200), (1, 3)):
        beta = 1 - e / epochs
        terms = model.loss(model(batch), batch, e / epochs)
        expected = {"ce_coarse": beta * ce_c, "ce_leaf": ce_f, "ia": beta * ia, "ba": beta * ba}
        expected["con"] = (1 - beta) * con
        assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-10)
        total = beta * (ce_c + ia + ba) + (1 - beta) * con + ce_f
        assert sum(terms.values()).item() == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.5, 0.8])
def test_three_levels_align_neighbours_and_fade_from_the_root(progress):
    model, batch = model_and_batch(THREE)
    reference = Reference(model, batch)
    root, middle = max(0.0, 1 - 2 * progress), 1 - progress
    expected = {f"ce_{level}": reference.ce(level) for level in THREE.levels}
    for upper, lower in itertools.pairwise(THREE.levels):
        expected[f"ia_{upper}"] = reference.ia(upper, lower)
        expected[f"ba_{upper}"] = reference.ba(upper, lower)
    for name in expected:
        expected[name] *= {"coarse": root, "level2": middle, "leaf": 1.0}[name.split("_")[1]]
    expected["con"] = progress * reference.con()
    terms = model.loss(model(batch), batch, progress)
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-10)


def test_the_outputs_are_those_of_the_equations():
    model, batch = model_and_batch(THREE, coarse_features="embedded")
    reference, output = Reference(model, batch), model(batch)
    for level in THREE.levels:
        logits = np.stack([head[level]["z"] for head in reference.heads])
        attention = np.concatenate([head[level]["A"].T for head in reference.heads])
        np.testing.assert_allclose(output.logits[level].detach(), logits, rtol=1e-10)
        np.testing.assert_allclose(output.attention[level].detach(), attention, rtol=1e-10)
