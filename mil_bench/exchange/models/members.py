"""Predictions of trained models for any slides with the features that they were trained on.

A model predicts in the precision of its run and with its number of threads. It predicts the run's
own test slides together, as the run did. For those the numbers are the stored ones, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.formats.names import match_ids
from mil_bench.bags.loader import EvaluationLoader
from mil_bench.base.console import ProgressDisplay
from mil_bench.base.errors import RunError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.checked_methods import check_coords
from mil_bench.contract.spec import Precision
from mil_bench.contract.store import BagStore
from mil_bench.exchange.models.ensemble import EnsemblePredictions, Probabilities
from mil_bench.nn.precision import feature_type, prepare_cpu
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.load_run import TrainedModel, load_trained
from mil_bench.runs.slide_sets import predicted_sets
from mil_bench.training.checkpoint import make_deterministic
from mil_bench.training.predict import predict_heads


def predict_slides(
    directories: Sequence[RunDirectory],
    store: BagStore,
    device: torch.device,
    where: str,
    *,
    quiet: bool = True,
) -> EnsemblePredictions:
    """Predict every bag of ``store`` with the models of all runs, in the order of its rows.

    ``where`` names the features in messages. The features must fit
    (:func:`~mil_bench.exchange.models.new_slides.check_fits`). Raises ``RunError`` for runs that
    cannot be one ensemble or have no model, and ``FeatureError`` where a method lacks coordinates.
    """
    tree = common_tree(directories)
    slides = tuple(store.rows)
    make_deterministic(device)
    prepare_cpu(store.dim)  # the same kernels as in training: numbers are compared bit by bit
    members: list[dict[str, Probabilities]] = []
    with ProgressDisplay("predicting", len(directories), unit="" if quiet else "model") as progress:
        for directory in directories:
            members.append(_member(directory, store, slides, device, where))
            progress.advance()
    # Levels that every model has a head for.
    levels = [v for v in members[0] if all(v in heads for heads in members)]
    heads = {level: np.stack([heads[level] for heads in members]) for level in levels}
    return EnsemblePredictions(tree, tuple(d.path.name for d in directories), slides, heads)


def common_tree(directories: Sequence[RunDirectory]) -> Taxonomy:
    """Return the label tree of all runs. Raises ``RunError`` where they do not share one."""
    trees = [Taxonomy.from_dict(d.read_spec().tree) for d in directories]
    for directory, tree in zip(directories, trees, strict=True):
        if tree.digest() != trees[0].digest():
            raise RunError(
                f"runs {directories[0].path.name} and {directory.path.name} have different label "
                "trees, so their probabilities have no mean; predict with one at a time."
            )
    return trees[0]


def used_precision(precision: Precision, device: torch.device) -> Precision:
    """Return the precision of a run on ``device``: float16 needs CUDA, else it is float32."""
    return "32" if precision == "16" and device.type != "cuda" else precision


def _member(
    directory: RunDirectory,
    store: BagStore,
    slides: Sequence[str],
    device: torch.device,
    where: str,
) -> dict[str, Probabilities]:
    """Level -> probabilities of ``slides`` by the model of one run."""
    precision = used_precision(directory.read_spec().precision, device)
    model = load_trained(directory, device, precision)
    check_coords(model.spec.method, model.method, where, store.coords)
    bags = model.bags(store, device, feature_type(precision))
    with _threads(model.threads):
        predicted = dict[str, dict[str, Probabilities]]()
        for together in _portions(directory, slides):
            predicted |= _by_slide(model, bags, together, precision)
    heads = {
        level: np.stack([predicted[s][level] for s in slides]) for level in predicted[slides[0]]
    }
    if model.spec.shuffled_tree:
        return {LEAF: heads[LEAF]}
    return heads


def _by_slide(
    model: TrainedModel, bags: DeviceBags, slides: Sequence[str], precision: Precision
) -> dict[str, dict[str, Probabilities]]:
    ids, heads = predict_heads(model.method, EvaluationLoader(bags, slides), precision)
    return {slide: {v: probs[i] for v, probs in heads.items()} for i, slide in enumerate(ids)}


def _portions(directory: RunDirectory, slides: Sequence[str]) -> Iterator[list[str]]:
    """Slides to predict together: a complete set of the run as the run did, then all others.

    Small bags are packed together, and the last bits of a product depend on what is packed.
    """
    rest = dict.fromkeys(slides)
    for ids in predicted_sets(directory).values():
        own = match_ids(ids, rest)
        if len(own) == len(ids):  # a part of a set would be packed in another way
            yield [own[slide] for slide in ids]
            rest = dict.fromkeys(slide for slide in rest if slide not in set(own.values()))
    if rest:
        yield list(rest)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:  # the number of threads is one for the process
        torch.set_num_threads(before)
