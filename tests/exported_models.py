"""Run folders with a model in them, and their exports, made without a training."""

from __future__ import annotations

import numpy as np
import torch
from narrow_methods import NARROW
from prediction_cases import BRACS
from run_folders import finish, make_spec

from mil_bench.base.config import build
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.exchange.models.export import export_run
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.training.checkpoint import Checkpoint

DIM = 6


def trained_run(runs, method="abmil", *, tree=BRACS, config=None, standardize=False, **changes):
    """The folder of a complete run whose model is untrained, and that model."""
    cls = METHODS.get(method)
    full = build(cls.Config, config or NARROW.get(method, {}), method).model_dump(mode="json")
    spec = make_spec(
        method,
        tree=tree,
        config=full,
        dim=DIM,
        method_version=cls.version,
        standardize=standardize,
        **changes,
    )
    torch.manual_seed(7)
    model = cls(build(cls.Config, full, method), DIM, Taxonomy.from_dict(spec.tree)).eval()
    folder, _ = finish(runs, spec)
    checkpoint = Checkpoint(key=spec.key, threads=1, best_model=model.state_dict())
    if standardize:
        checkpoint.mean, checkpoint.std = torch.arange(DIM).float(), torch.arange(DIM) + 0.5
    checkpoint.save(folder / "checkpoint.pt")
    return RunDirectory(folder), model


def exported(tmp_path, method="abmil", **changes):
    """The folder of an export, and the model in it."""
    directory, model = trained_run(tmp_path / "runs", method, **changes)
    return export_run(directory, tmp_path / "model").folder, model


def bag(size, seed=0):
    return np.random.default_rng(seed + size).normal(size=(size, DIM)).astype("float32")
