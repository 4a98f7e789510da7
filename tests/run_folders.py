"""Run folders as the harness leaves them, written by hand for the tests of boards."""

from __future__ import annotations

import json
from hashlib import sha256

from prediction_cases import BRACS, random_predictions

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.predictions_csv import write_predictions


def make_spec(method="abmil", *, seed=0, fold=0, tree=BRACS, config=None, **changes):
    trainer = {"lr": 1e-4, **changes.pop("trainer", {})}
    values = {
        "dataset": "digit-bags",
        "kind": "embedded",
        "labels_digest": "1abe15",
        "tree": tree.to_dict(),
        "split": "kfold-5",
        "split_digest": "5b117",
        "encoder": "pixels",
        "dim": 64,
        "features_digest": "fea7",
        "method_version": "1",
        "method_config": config or {},
        **changes,
    }
    return RunSpec(method=method, seed=seed, fold=fold, trainer=trainer, **values)


def begin(runs, spec):
    """A run that was started: its folder with ``spec.json``."""
    folder = runs / spec.dataset / spec.method / spec.key
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec.model_dump(mode="json"), indent=2))
    return folder


def finish(runs, spec, predictions=None, *, skill=1.0, heads=(), **result):
    """A finished run; its folder and its test predictions."""
    folder = begin(runs, spec)
    if predictions is None:
        number = int(spec.key[:8], 16)
        tree = Taxonomy.from_dict(spec.tree)
        predictions = random_predictions(tree, n=60, seed=number, skill=skill, heads=heads)
    write_predictions(folder / "predictions.csv", {"val": predictions, "test": predictions})
    (folder / "env.json").write_text(json.dumps({"mil-bench": "0.1.0"}))
    content = {
        "key": spec.key,
        "status": "done",
        "epochs": 20,
        "train_seconds": 2.0,
        "test_seconds": 0.5,
        "parameters": 1000,
        "peak_memory_mb": 300.0,
        "device": "cpu",
        "n_test": len(predictions),
        "missing": [],
        "split_mode": "kfold",
        "split_notes": [],
    }
    (folder / "result.json").write_text(json.dumps(content | result))
    return folder, predictions


def protect(folder):
    """The run folder with the digest of its predictions, as runs of format 2 have it."""
    digest = sha256((folder / "predictions.csv").read_bytes()).hexdigest()
    result = json.loads((folder / "result.json").read_text())
    result |= {"format": 2, "predictions_sha256": digest}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def fail(runs, spec, error="out of memory"):
    folder = begin(runs, spec)
    (folder / "failure.json").write_text(json.dumps({"key": spec.key, "error": error}))
    return folder
