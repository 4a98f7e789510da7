"""``--online blocks``: checks before anything is run, and the parts of one run."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mil_bench.dataset import Dataset
from mil_bench.errors import DataError, RunError, UsageError
from mil_bench.extraction.encoders.build import build, find_card
from mil_bench.extraction.encoders.encoder import RANDOM_TAG, load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice, described
from mil_bench.method import Method
from mil_bench.online.config import Blocks
from mil_bench.online.fine_tuned import FineTuned
from mil_bench.online.last_blocks import last_blocks
from mil_bench.online.origin import pixels_of
from mil_bench.online.pixels import Made, Pixels
from mil_bench.spec import Precision

ALIKE = 0.99  # cosine of features made in another precision or on another machine
LOOKED_AT = 4  # tiles


def check_blocks(online: Blocks, dataset: Dataset) -> None:
    """Raise a ``MilBenchError`` unless blocks of this encoder can be trained on this dataset."""
    if dataset.standardize:
        raise UsageError(
            f"{dataset.name} is standardised with statistics of its stored features, which "
            "--online blocks changes; leave standardize out of its file, or use --online adapter."
        )
    made = pixels_of(dataset).made
    _weights(dataset, made)
    card = find_card(_plain(made.encoder))
    last_blocks(build(card), online.blocks, made.encoder)


def fine_tuned(
    inner: Method, online: Blocks, dataset: Dataset, device: torch.device, precision: Precision
) -> FineTuned:
    """``inner`` behind the encoder of the dataset's features, with that encoder's weights."""
    made = pixels_of(dataset).made
    choice = _weights(dataset, made)
    encoder = load_encoder(_plain(made.encoder), choice, device, precision)
    return FineTuned(inner, encoder, online.blocks)


def check_slides(method: FineTuned, pixels: Pixels, slide_id: str) -> None:
    """Raise ``RunError`` unless pixels of a slide give its stored features again.

    ``method`` must not have been trained yet.
    """
    stored = torch.from_numpy(pixels.store.bag(slide_id)[:LOOKED_AT].copy()).float()
    side, n = method.encoder.card.scaled, len(stored)
    tiles = pixels.tiles(slide_id, side, torch.arange(n).numpy())
    found = method.encoded(tiles).float().cpu()
    likeness = F.cosine_similarity(found, stored).min().item()
    if not likeness > ALIKE:
        raise RunError(
            f"tiles of {pixels.sources[slide_id].path} do not give the stored features of "
            f"{slide_id} (cosine {likeness:.2f}, expected above {ALIKE}); give the slides that "
            "were extracted with --slides, or extract these."
        )


def _plain(encoder: str) -> str:
    return encoder.removesuffix(RANDOM_TAG)


def _weights(dataset: Dataset, made: Made) -> WeightsChoice:
    """The weights that made the features."""
    if made.encoder.endswith(RANDOM_TAG):
        return WeightsChoice(random=True)
    card = find_card(made.encoder)
    if dataset.weights is None:
        raise UsageError(
            f"--online blocks needs the weights of encoder {made.encoder}; give the file that "
            f"the features were extracted with ({card.origin}) with --weights."
        )
    choice = WeightsChoice(checkpoint=dataset.weights)
    found = described(choice.resolve(card))
    if found != made.weights:
        raise DataError(
            f"{dataset.weights} is not the file that the features were extracted with ({found}, "
            f"expected {made.weights}); give that one with --weights."
        )
    return choice
