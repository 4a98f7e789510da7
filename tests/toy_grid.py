"""A plug-in for tests of the harness: a small dataset and methods that learn, fail or die."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetCard, DatasetOptions
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.method import Method, MethodConfig, Output, PaperCard
from mil_bench.contract.store import BagStore
from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS
from mil_bench.nn.segment import segment_mean

TREE = Taxonomy.from_tree("toy", {"low": ["a", "b"], "high": ["c", "d"]})
DIM = 8


def toy_dataset(slides: int = 48, standardize: bool = False) -> Dataset:
    """Bags of 3 to 12 instances; the class shifts one feature. Two slides per patient."""
    rng = np.random.default_rng(0)
    ids = [f"s{i:02d}" for i in range(slides)]
    classes = [TREE.leaves[(i // 2) % 4] for i in range(slides)]
    bags = {}
    for slide, name in zip(ids, classes, strict=True):
        bag = rng.normal(size=(rng.integers(3, 13), DIM)).astype(np.float32)
        bag[:, TREE.index(name)] += 1.0
        bags[slide] = bag
    ends = np.cumsum([0, *(len(b) for b in bags.values())])
    rows = {s: (int(ends[i]), len(bags[s])) for i, s in enumerate(ids)}
    store = BagStore("toy", np.concatenate(list(bags.values())), None, rows, "toydigest")
    manifest = Manifest.build(ids, classes, patient_id=[f"p{i // 2}" for i in range(slides)])
    return Dataset(ToyData.card, "embedded", manifest, TREE, store, standardize=standardize)


@DATASETS.register("toy")
class ToyData(DatasetAdapter):
    """Forty-eight small bags."""

    card: ClassVar[DatasetCard] = DatasetCard(
        name="toy",
        title="toy",
        source="made up",
        licence="none",
        files="none",
        trees={"toy": TREE},
        default_tree="toy",
        default_split="kfold-3",
        kind="embedded",
        overrides={"trainer": {"epochs": 4}, "methods": {"tiny": {"width": 6}}},
    )

    def load(self, options: DatasetOptions) -> Dataset:
        """Without files."""
        return toy_dataset()


class TinyConfig(MethodConfig):
    """Width and dropout, and a field that the trainer has too."""

    width: int = tunable(5, low=1, high=10, ge=1)
    dropout: float = 0.25
    bias: bool = True
    epochs: int = 1


@METHODS.register("tiny")
class Tiny(Method):
    """Mean pooling with dropout and two heads."""

    Config = TinyConfig
    paper = PaperCard("toy", 2026, "none", "none")
    recipe: ClassVar = {"lr": 1e-2, "batch_size": 4, "epochs": 3}

    def __init__(self, config: TinyConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.body = nn.Sequential(
            nn.Linear(dim, config.width), nn.Tanh(), nn.Dropout(config.dropout)
        )
        self.heads = nn.ModuleDict(
            {k: nn.Linear(config.width, len(v), config.bias) for k, v in taxonomy.classes.items()}
        )

    def forward(self, batch):
        """Logits of both levels."""
        pooled = segment_mean(self.body(batch.features), batch.offsets)
        return Output({level: head(pooled) for level, head in self.heads.items()})

    def loss(self, output, batch, progress):
        """Two terms; the coarse one fades."""
        coarse = self.cross_entropy(output.logits[COARSE], batch.labels[COARSE], COARSE)
        leaf = self.cross_entropy(output.logits[LEAF], batch.labels[LEAF], LEAF)
        return {"leaf": leaf, "coarse": (1 - progress) * coarse}


class NoSharedConfig(MethodConfig):
    """No field of the trainer."""

    width: int = 5
    dropout: float = 0.25
    bias: bool = True


@METHODS.register("plain")
class Plain(Tiny):
    """Tiny whose options are all its own."""

    Config = NoSharedConfig


@METHODS.register("broken")
class Broken(Plain):
    """Raises in its second epoch."""

    def loss(self, output, batch, progress):
        """Break."""
        if progress > 0:
            raise ValueError("no loss today")
        return super().loss(output, batch, progress)


@METHODS.register("exploding")
class Exploding(Plain):
    """Its loss is not a number."""

    def loss(self, output, batch, progress):
        """NaN."""
        return {"nan": output.logits[LEAF].sum() * torch.nan}


@METHODS.register("dying")
class Dying(Plain):
    """Kills its process, as the system does when memory runs out."""

    def loss(self, output, batch, progress):
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)


@METHODS.register("sleepy")
class Sleepy(Plain):
    """Plain, but takes its time, so that it can be interrupted."""

    def loss(self, output, batch, progress):
        """Wait."""
        time.sleep(0.1)
        return super().loss(output, batch, progress)


def replace_store(dataset: Dataset, store: BagStore) -> Dataset:
    """The dataset with another store."""
    return replace(dataset, store=store)
