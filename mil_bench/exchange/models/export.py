"""``mil-bench export``: the model of a run as a folder of plain files that anyone can load."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from mil_bench.base.atomic import write_bytes, write_json, write_text
from mil_bench.base.errors import RunError, UsageError
from mil_bench.base.formats import EXPORT
from mil_bench.base.version import __version__
from mil_bench.contract.spec import AdapterTraining
from mil_bench.exchange.models.load_model import load_model
from mil_bench.exchange.models.model_card import CardText, model_card
from mil_bench.exchange.models.new_slides import trained_scale
from mil_bench.exchange.models.portable import Portable, write_portable
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.load_run import TrainedModel, load_trained
from mil_bench.runs.stored_predictions import stored_predictions
from mil_bench.training.exported_model import (
    FACTS_FILE,
    MEAN,
    STD,
    WEIGHTS_FILE,
    ExportedModel,
)

CARD = "README.md"


@dataclass(frozen=True)
class ExportedFiles:
    """What was written: the folder, its files, and a sentence for each form that is impossible."""

    folder: Path
    files: tuple[str, ...]
    refused: tuple[str, ...]


def export_run(
    directory: RunDirectory,
    out: Path,
    *,
    forms: Sequence[Portable] = (),
    card: CardText | None = None,
    overwrite: bool = False,
) -> ExportedFiles:
    """Write the model of a complete run to the folder ``out``, all of it or nothing.

    ``forms`` are written beside it where the method allows them. Raises ``RunError`` for a run
    without a model, and ``UsageError`` where ``out`` holds something else or an export that is not
    to be overwritten.
    """
    _check_free(out, overwrite)
    model = load_trained(directory, torch.device("cpu"), "32")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, because a folder can only be renamed within one file system.
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _write_model(model, folder)
        loaded = load_model(folder)
        _check_same(model, loaded.method.state_dict())
        refused = []
        for form in forms:
            try:
                write_portable(loaded, form, folder)
            except RunError as error:
                refused.append(str(error))
        test = stored_predictions(directory, loaded.taxonomy).get("test")
        write_text(folder / CARD, model_card(loaded.facts, directory, test, card or CardText()))
        folder.chmod(0o755)  # mkdtemp makes a private folder
        _put_in_place(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    files = tuple(sorted(path.name for path in out.iterdir()))
    return ExportedFiles(out, files, tuple(refused))


def _write_model(model: TrainedModel, folder: Path) -> None:
    tensors = dict(model.method.state_dict())
    if model.standardization is not None:
        tensors |= {MEAN: model.standardization.mean, STD: model.standardization.std}
    # Copies, because the format has no tensors that share memory.
    content = safetensors.torch.save(
        {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    )
    facts = facts_of(model, sha256(content).hexdigest())
    write_bytes(folder / WEIGHTS_FILE, content)
    write_json(folder / FACTS_FILE, facts.model_dump(mode="json"))


def facts_of(model: TrainedModel, weights: str) -> ExportedModel:
    """Return the content of ``model.json``; ``weights`` is the SHA-256 of the file of weights."""
    spec, scale = model.spec, trained_scale(model.directory)
    adapter = spec.online.adapter if isinstance(spec.online, AdapterTraining) else None
    known = {"mpp": scale.mpp, "pixels": scale.pixels}
    return ExportedModel(
        format=EXPORT,
        mil_bench=__version__,
        run=spec.key,
        weights=weights,
        method=spec.method,
        method_version=spec.method_version,
        method_config=spec.method_config,
        adapter=adapter,
        dim=spec.dim,
        encoder=spec.encoder,
        standardize=spec.standardize,
        patches={name: value for name, value in known.items() if value is not None},
        tree=spec.tree,
        classes=model.method.taxonomy.classes,
        dataset=spec.dataset,
        kind=spec.kind,
        labels_digest=spec.labels_digest,
        features_digest=spec.features_digest,
        split=spec.split,
        split_digest=spec.split_digest,
        fold=spec.fold,
        seed=spec.seed,
        harness=spec.harness,
        precision=spec.precision,
    )


def _check_same(model: TrainedModel, loaded: dict[str, Tensor]) -> None:
    """Raise ``RunError`` unless the model that was written is the model of the run, to the bit."""
    trained = model.method.state_dict()
    differ = [name for name, tensor in trained.items() if not torch.equal(tensor, loaded[name])]
    if differ:
        raise RunError(
            f"{differ[0]!r} of run {model.spec.key} changes when it is written and read; nothing "
            "is exported. Please report this."
        )


def _check_free(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / FACTS_FILE).is_file()):
        raise UsageError(f"{out} exists and is not an export; choose another folder with --out.")
    if any(out.iterdir()) and not overwrite:
        raise UsageError(
            f"{out} holds an export already; choose another folder with --out, or --overwrite."
        )


def _put_in_place(folder: Path, out: Path) -> None:
    aside = folder.with_name(f"{folder.name}-old")
    if out.exists():
        out.rename(aside)
    folder.rename(out)
    shutil.rmtree(aside, ignore_errors=True)
