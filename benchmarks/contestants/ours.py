"""mil-bench itself: the pieces that ``mil-bench run`` trains and predicts with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.contestants import Entry
from benchmarks.contestants.contestant import Contestant
from benchmarks.workloads import TREE, Cohort
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import EvaluationLoader, TrainLoader
from mil_bench.bags.placement import choose_placement
from mil_bench.base.config import build
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec, TrainerConfig
from mil_bench.evaluation.predictions import Predictions
from mil_bench.methods import METHODS
from mil_bench.nn.precision import feature_type, prepare_cpu
from mil_bench.training.checkpoint import SETUP, Checkpoint, make_deterministic, seed_everything
from mil_bench.training.loop import Trainer, TrainingData
from mil_bench.training.predict import predict
from mil_bench.training.progress import Reporter

CPU = torch.device("cpu")
LONG = 1_000_000  # epochs of a schedule that stays at its start
SETTINGS: dict[str, dict[str, Any]] = {"hmil": {"curriculum": "constant"}}
"""Away from the default: every term of HMIL's loss has weight in every epoch."""


class Ours(Contestant):
    """``TrainLoader``, ``Trainer.train_epoch`` and ``predict`` on packed batches."""

    def __init__(self, entry: Entry, cohort: Cohort, device: torch.device = CPU) -> None:
        super().__init__(entry, cohort)
        prepare_cpu(cohort.store.dim)
        self.device = device
        dtype = feature_type(entry.precision)
        home = choose_placement("auto", cohort.store, dtype, [device])
        self.bags = DeviceBags(cohort.store, device, dtype=dtype, placement=home)
        for slide in cohort.train + cohort.held_out:
            self.bags.batch([slide])  # a home is filled by the first use

    @classmethod
    def prepare(cls) -> None:
        """Start like a process of the harness."""
        make_deterministic(CPU)

    def build(self) -> None:
        """Build the method and the harness's trainer."""
        seed_everything(self.entry.seed, SETUP)
        self.method = make_method(self.entry, self.cohort.store.dim).to(self.device)
        self.trainer = make_trainer(self.entry, self.cohort, self.bags, self.method)

    def train(self, epoch: int) -> None:
        """Train one epoch of the harness, without validation and checkpoint."""
        seed_everything(self.entry.seed, epoch)
        self.method.train()
        self.trainer.train_epoch(epoch)

    def predict(self, slides: Sequence[str]) -> Predictions:
        """Return predictions as the harness makes them."""
        self.method.eval()
        loader = EvaluationLoader(self.bags, slides)
        return predict(self.method, loader, self.cohort.manifest, self.entry.precision)


def make_method(entry: Entry, dim: int) -> Method:
    """Return the method with its default configuration, without dropout if the entry says so."""
    cls = METHODS.get(entry.method)
    values = dict(SETTINGS.get(entry.method, {}))
    if not entry.dropout:
        values |= {name: 0.0 for name in cls.Config.model_fields if name.endswith("dropout")}
    return cls(build(cls.Config, values, f"method {entry.method}"), dim, TREE)


def make_trainer(entry: Entry, cohort: Cohort, bags: DeviceBags, method: Method) -> Trainer:
    """Return a trainer with the method's recipe that sees every bag once an epoch."""
    recipe: dict[str, Any] = {
        **method.recipe,
        "batch_size": entry.batch,
        "epochs": LONG,
        "sampling": "shuffle",
        "accumulate": 1,
    }
    recipe["lr"] *= entry.batch**0.5  # Adam's rate grows with the root of the batch
    spec = RunSpec(
        dataset=entry.workload.name,
        kind="simulated",
        labels_digest="",
        tree=TREE.to_dict(),
        split="",
        split_digest="",
        fold=0,
        encoder=cohort.store.encoder,
        dim=cohort.store.dim,
        features_digest=cohort.store.digest,
        method=entry.method,
        method_version=method.version,
        method_config=method.config.model_dump(),
        trainer=TrainerConfig(**recipe),
        seed=entry.seed,
        precision=entry.precision,
    )
    loader = TrainLoader(
        bags, cohort.train, cohort.leaf(cohort.train), TREE, batch_size=entry.batch, seed=entry.seed
    )
    data = TrainingData(loader, EvaluationLoader(bags, cohort.held_out), cohort.manifest)
    checkpoint = Checkpoint(key=spec.key, threads=torch.get_num_threads())
    return Trainer(method, data, spec, checkpoint, Path(), Reporter())
