"""Load a complete run: the chosen model, and the bags as it receives them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mil_bench.bags.device import DeviceBags
from mil_bench.base.errors import RunError, UnknownNameError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec
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

    def batch(self, slide_id: str) -> BagBatch:
        """Return one bag as the model receives it. Raises ``UnknownNameError``."""
        if slide_id not in self.bags.rows:
            raise UnknownNameError("slide", slide_id, self.bags.rows, of=self.spec.dataset)
        return self.bags.batch([slide_id])


def load_run(directory: RunDirectory, dataset: Dataset, device: torch.device) -> LoadedRun:
    """Return the model that a complete run has chosen, with ``dataset`` as it was then.

    Raises ``RunError`` for a run that is not done, of another version of its method, or of other
    labels or features than those of ``dataset``.
    """
    spec = directory.read_spec()
    _check(directory, spec, dataset)
    checkpoint = Checkpoint.load(directory.checkpoint)
    full = spec.model_copy(update={"precision": "32"})
    method = new_method(full, dataset, Taxonomy.from_dict(spec.tree), device)
    if method.version != spec.method_version:
        raise RunError(
            f"run {directory.path.name} used version {spec.method_version} of {spec.method}, but "
            f"version {method.version} is installed; rerun it with --overwrite."
        )
    method.load_state_dict(checkpoint.best_model)
    method.eval()
    seed_everything(spec.seed, SETUP)
    if isinstance(method, FineTuned):
        bags: DeviceBags = EncodedBags(pixels_of(dataset), method, device)
    else:
        bags = DeviceBags(
            dataset.store,
            device,
            standardization=checkpoint.standardization,
            neighbours=method.neighbours,
        )
    return LoadedRun(directory, spec, dataset, method, bags)


def _check(directory: RunDirectory, spec: RunSpec, dataset: Dataset) -> None:
    status = directory.status()
    if status != "done":
        raise RunError(f"run {directory.path.name} is {status}; expected a complete run.")
    present = {"labels": dataset.manifest.digest(), "features": dataset.store.digest}
    used = {"labels": spec.labels_digest, "features": spec.features_digest}
    other = [name for name in used if used[name] != present[name]]
    if other:
        raise RunError(
            f"run {directory.path.name} used other {' and '.join(other)} of {spec.dataset} than "
            "those loaded; pass the data of the run (--dataset, --data-root, --features)."
        )
