"""Load a complete run: the chosen model, and the bags as it receives them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mil_bench.bags.conversion import Standardization
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.formats.names import known_id
from mil_bench.base.errors import RunError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.method import Method
from mil_bench.contract.spec import Precision, RunSpec
from mil_bench.contract.store import BagStore
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import new_method
from mil_bench.training.checkpoint import SETUP, Checkpoint, seed_everything
from mil_bench.training.online.pixels import EncodedBags
from mil_bench.training.online.prepare import pixels_of
from mil_bench.training.online.wrapped import FineTuned


@dataclass(frozen=True)
class LoadedRun:
    """A trained ``method`` in evaluation mode, with the tree of the run, not that of ``dataset``.

    Everything is float32, whatever the precision of the run: it loses nothing, and scores have
    fewer ties.
    """

    directory: RunDirectory
    spec: RunSpec
    dataset: Dataset
    method: Method
    bags: DeviceBags

    @property
    def taxonomy(self) -> Taxonomy:
        """The label tree that the run was trained with."""
        return self.method.taxonomy

    def known_id(self, slide_id: str) -> str:
        """Return the id that the data have for a slide, with or without its file extension.

        Raises ``UnknownNameError``.
        """
        return known_id(slide_id, self.bags.rows, of=self.dataset.name)

    def batch(self, slide_id: str) -> BagBatch:
        """Return one bag as the model receives it. Raises ``UnknownNameError``."""
        return self.bags.batch([self.known_id(slide_id)])


def load_run(directory: RunDirectory, dataset: Dataset, device: torch.device) -> LoadedRun:
    """Return the model that a complete run has chosen, with ``dataset`` as it was then.

    Raises ``RunError`` for a run that is not done, of another version of its method, or of other
    labels or features than those of ``dataset``.
    """
    _check_complete(directory)  # before the spec: an interrupted run has one too
    _check_data(directory, directory.read_spec(), dataset)
    return with_data(load_trained(directory, device, "32", dataset), dataset, device)


@dataclass(frozen=True)
class TrainedModel:
    """The model that a run has chosen, in evaluation mode, without any data.

    ``standardization`` is that of its training bags, ``threads`` how many it was trained and tested
    with.
    """

    directory: RunDirectory
    spec: RunSpec
    method: Method
    standardization: Standardization | None
    threads: int

    def bags(
        self, store: BagStore, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> DeviceBags:
        """Return the bags of ``store`` as the model receives them."""
        return DeviceBags(
            store,
            device,
            dtype=dtype,
            standardization=self.standardization,
            neighbours=self.method.neighbours,
        )


def load_trained(
    directory: RunDirectory,
    device: torch.device,
    precision: Precision | None = None,
    dataset: Dataset | None = None,
) -> TrainedModel:
    """Return the model of a complete run, in the run's precision or another one.

    ``dataset`` is only for runs that trained blocks of the encoder. Raises ``RunError`` for a run
    that is not done or has no model, and for a method that is not registered or of another version.
    """
    _check_complete(directory)
    spec = directory.read_spec()
    if not directory.checkpoint.exists():
        raise RunError(
            f"run {directory.path.name} has no {directory.checkpoint.name}, so no model; use a run "
            "folder that was trained here, or rerun it with --overwrite."
        )
    if spec.method not in METHODS:
        raise RunError(
            f"method {spec.method!r} of run {directory.path.name} is not registered; pass the file "
            "that defines it with --plugin."
        )
    checkpoint = Checkpoint.load(directory.checkpoint)
    used = spec if precision is None else spec.model_copy(update={"precision": precision})
    method = new_method(used, dataset, Taxonomy.from_dict(spec.tree), device)
    if method.version != spec.method_version:
        raise RunError(
            f"run {directory.path.name} used version {spec.method_version} of {spec.method}, but "
            f"version {method.version} is installed; rerun it with --overwrite."
        )
    _restore(method, checkpoint, directory)
    seed_everything(spec.seed, SETUP)  # evaluation draws as it did after training
    return TrainedModel(directory, spec, method, checkpoint.standardization, checkpoint.threads)


def with_data(model: TrainedModel, dataset: Dataset, device: torch.device) -> LoadedRun:
    """Return ``model`` with any data that have its features, such as new slides."""
    method = model.method
    bags = (
        EncodedBags(pixels_of(dataset), method, device)
        if isinstance(method, FineTuned)
        else model.bags(dataset.store, device)
    )
    return LoadedRun(model.directory, model.spec, dataset, method, bags)


def _restore(method: Method, checkpoint: Checkpoint, directory: RunDirectory) -> None:
    try:
        method.load_state_dict(checkpoint.best_model)
    except RuntimeError as error:  # torch lists every name of a tensor
        first = " ".join(str(error).split())[:200]
        raise RunError(
            f"{directory.checkpoint} does not fit method {directory.read_spec().method} "
            f"({first}); was the method changed without a new version? Rerun with --overwrite."
        ) from None
    method.eval()


def _check_complete(directory: RunDirectory) -> None:
    status = directory.status()
    if status != "done":
        raise RunError(f"run {directory.path.name} is {status}; expected a complete run.")


def _check_data(directory: RunDirectory, spec: RunSpec, dataset: Dataset) -> None:
    # By digest: names and paths of data may change, their content may not.
    present = {"labels": dataset.manifest.digest(), "features": dataset.store.digest}
    used = {"labels": spec.labels_digest, "features": spec.features_digest}
    other = [name for name in used if used[name] != present[name]]
    if other:
        raise RunError(
            f"run {directory.path.name} used other {' and '.join(other)} of {spec.dataset} than "
            "those loaded; pass the data of the run (--dataset, --data-root, --features)."
        )
