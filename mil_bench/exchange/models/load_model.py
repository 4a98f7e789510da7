"""``mil_bench.load_model``: a trained model in three lines, without its run and its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import FeatureError, UsageError
from mil_bench.base.registry import load_plugins
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.checked_methods import checked_output
from mil_bench.contract.method import Method
from mil_bench.training.exported_model import (
    ExportedModel,
    ExportedWeights,
    build_exported,
    read_exported,
)

BagLike = Tensor | ArrayLike


def load_model(
    path: str | Path, *, device: str = "cpu", plugins: Sequence[str | Path] = ()
) -> LoadedModel:
    """Load a model that ``mil-bench export`` wrote; nothing of it is unpickled.

    ``path`` is its folder. ``plugins`` are Python files that define methods, for a method from
    outside. Raises a ``MilBenchError`` of one sentence for an export that is incomplete, damaged,
    of a newer format, or of another version of its method.
    """
    load_plugins([Path(plugin) for plugin in plugins])
    weights = read_exported(Path(path))
    return LoadedModel(weights, build_exported(weights), torch.device(device))


class LoadedModel:
    """A trained model on ``device``, in evaluation mode and float32.

    ``facts`` are the content of its ``model.json``, ``method`` is the module itself.
    """

    def __init__(self, weights: ExportedWeights, method: Method, device: torch.device) -> None:
        self.facts: ExportedModel = weights.facts
        self.method = method.to(device)
        self.standardization = weights.standardization
        self.device = device
        self.taxonomy: Taxonomy = method.taxonomy

    def __repr__(self) -> str:
        facts = self.facts
        return f"<{type(self).__name__}: {facts.method} on {facts.dataset}, {facts.encoder}>"

    @property
    def encoder(self) -> str:
        """Name of the encoder whose features the model reads."""
        return self.facts.encoder

    @property
    def dim(self) -> int:
        """Dimension of these features."""
        return self.facts.dim

    def predict(
        self,
        features: BagLike | Sequence[BagLike],
        coords: BagLike | Sequence[BagLike] | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """Return the probabilities of the classes of every level of the tree.

        ``features`` is a bag ``(n, dim)``, an embedding ``(dim,)``, or a list of them; ``coords``
        are ``(n, 2)`` in the same way. One bag gives ``(K_level,)``, a list ``(B, K_level)``, in
        the order of ``taxonomy.classes[level]``. A level without a head has the sums of its
        leaves. Raises ``FeatureError`` for another dimension, empty bags and missing coordinates.
        """
        many = isinstance(features, Sequence)
        bags: Sequence[BagLike] = features if many else [features]  # type: ignore[list-item,assignment]
        places = coords if many or coords is None else [coords]
        if not bags:
            raise UsageError("there are no bags to predict; pass at least one.")
        probabilities = self._probabilities(self._opened(bags, places), len(bags))
        return {k: p if many else p[0] for k, p in probabilities.items()}

    def _opened(self, features: Sequence[BagLike], coords: object) -> DeviceBags:
        arrays = {str(i): _array(bag) for i, bag in enumerate(features)}
        places = None
        if coords is not None:
            listed = list(coords)  # type: ignore[call-overload]
            if len(listed) != len(arrays):
                raise FeatureError(
                    f"{len(arrays)} bags but {len(listed)} arrays of coordinates; expected as many."
                )
            places = {str(i): _array(xy) for i, xy in enumerate(listed)}
        store = store_of_arrays(self.encoder, arrays, places)
        if store.dim != self.dim:
            raise FeatureError(
                f"the features have {store.dim} numbers per patch, but the model reads {self.dim} "
                f"(encoder {self.encoder}); extract them with the encoder of its training."
            )
        if self.method.needs_coords and store.coords is None:
            raise FeatureError(
                f"method {self.facts.method} requires coordinates of the patches; pass coords."
            )
        return DeviceBags(
            store,
            self.device,
            standardization=self.standardization,
            neighbours=self.method.neighbours,
        )

    @torch.inference_mode()
    def _probabilities(self, bags: DeviceBags, count: int) -> dict[str, NDArray[np.float64]]:
        rows: dict[str, list[NDArray[np.float64]]] = {}
        # One bag at a time: no packing, so a bag never depends on its neighbours.
        for i in range(count):
            batch = bags.batch([str(i)])
            output = checked_output(self.method, self.method(batch), batch)
            for level, logits in output.logits.items():
                # float64, as in stored predictions.
                rows.setdefault(level, []).append(logits.double().softmax(1).cpu().numpy()[0])
        heads = {level: np.stack(parts) for level, parts in rows.items()}
        return {
            level: heads[level]
            if level in heads
            else heads[LEAF] @ self.taxonomy.membership(level)  # (B, K_leaf) (K_leaf, K_level)
            for level in self.taxonomy.levels
        }


def _array(values: BagLike) -> NDArray[np.floating]:
    if not isinstance(values, Tensor):
        return np.asarray(values)
    host = values.detach().cpu()
    # NumPy has no bfloat16.
    array: NDArray[np.floating] = (host.float() if host.dtype == torch.bfloat16 else host).numpy()
    return array
