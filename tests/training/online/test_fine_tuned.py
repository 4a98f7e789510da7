"""``--online blocks``: gradients, what is kept, and that features are those of the slides."""

from __future__ import annotations

import pytest
import torch
from extraction_requests import tiny_encoder
from pixel_cohort import opened
from toy_grid import TREE

from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.spec import TrainerConfig
from mil_bench.extraction.encoders.encoder import load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice
from mil_bench.methods import METHODS
from mil_bench.training.checkpoint import seed_everything
from mil_bench.training.online.pixels import EncodedBags, TileBags
from mil_bench.training.online.prepare import pixels_of
from mil_bench.training.online.wrapped import FineTuned
from mil_bench.training.optimizers import make_optimizer

CPU = torch.device("cpu")
TRAINED = {  # by encoder, for blocks=2
    "test_vit": ("blocks.4.", "blocks.5.", "norm."),
    "test_resnet": ("layer3.0.", "layer4.0."),
    "test_convnext": ("stages.3.", "head.norm."),
}


def fine_tuned(encoder: str = "test_vit", blocks: int = 2) -> FineTuned:
    loaded = load_encoder(encoder, WeightsChoice(random=True), CPU, "32")
    seed_everything(0, 0)
    cls = METHODS.get("abmil")
    return FineTuned(cls(cls.Config(), loaded.card.dim, TREE), loaded, blocks)


def tile_batch(method: FineTuned, sizes: tuple[int, ...] = (3, 2)) -> BagBatch:
    side = method.encoder.card.scaled
    drawn = torch.Generator().manual_seed(0)
    tiles = torch.randint(256, (sum(sizes), side * side * 3), generator=drawn, dtype=torch.uint8)
    leaf = torch.arange(len(sizes))
    labels = {level: torch.from_numpy(TREE.ancestor_index(level))[leaf] for level in TREE.levels}
    packed = BagBatch.of_rows(tiles, sizes)
    return BagBatch(packed.features, packed.offsets, packed.sizes, labels=labels)


def step(method: FineTuned) -> None:
    optimizer = make_optimizer(method, TrainerConfig(lr=0.01))
    method.train()
    batch = tile_batch(method)
    sum(method.loss(method(batch), batch, 0.0).values()).backward()
    optimizer.step()


@pytest.mark.parametrize("encoder", TRAINED)
def test_gradients_reach_the_last_blocks_and_only_them(encoder):
    method = fine_tuned(encoder)
    step(method)
    blocks = set()
    for name, parameter in method.encoder.network.network.named_parameters():
        trained = name.startswith(TRAINED[encoder])
        assert parameter.requires_grad == trained, name
        assert (parameter.grad is not None) == trained, name
        reached = trained and parameter.grad.abs().sum() > 0
        blocks |= {part for part in TRAINED[encoder] if reached and name.startswith(part)}
    assert blocks == set(TRAINED[encoder])
    assert method.inner.classifier.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("encoder", ["test_vit", "test_resnet"])
def test_a_step_changes_the_last_blocks_and_nothing_else_of_the_encoder(encoder):
    method = fine_tuned(encoder)
    before = {k: v.clone() for k, v in method.encoder.network.network.state_dict().items()}
    step(method)
    after = method.encoder.network.network.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(name.startswith(TRAINED[encoder]) for name in changed)


def test_a_tile_has_the_same_features_in_training_and_in_evaluation():
    method = fine_tuned("test_resnet")  # with batch norms
    tiles = tile_batch(method).features
    side = method.encoder.card.scaled
    trained = method.train().embed(tiles)
    expected = method.eval().encoded(tiles.view(-1, side, side, 3))
    assert trained.requires_grad
    assert not expected.requires_grad
    torch.testing.assert_close(trained.detach(), expected)


def test_a_checkpoint_holds_the_method_and_the_trained_blocks_alone():
    method = fine_tuned()
    state = method.state_dict()
    assert {k for k in state if not k.startswith("inner.")} == {
        f"last.{name.replace('.', '/')}"
        for name, _ in method.encoder.network.network.named_parameters()
        if name.startswith(TRAINED["test_vit"])
    }
    step(method)
    trained = {k: v.clone() for k, v in method.state_dict().items()}
    again = fine_tuned()
    again.load_state_dict(trained)
    batch = tile_batch(method)
    with torch.inference_mode():
        found, expected = again.eval()(batch).logits[LEAF], method.eval()(batch).logits[LEAF]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_encoded_bags_of_an_untrained_encoder_are_the_stored_features(cohort):
    dataset = opened(cohort)
    method = fine_tuned(blocks=1)
    bags = EncodedBags(pixels_of(dataset), method, CPU)
    slides = dataset.manifest.slide_ids[:2]
    found = bags.batch(slides)
    stored = torch.cat([torch.from_numpy(dataset.store.bag(s).copy()) for s in slides])
    torch.testing.assert_close(found.features, stored, rtol=1e-3, atol=1e-4)
    assert found.sizes == tuple(dataset.store.rows[s][1] for s in slides)
    assert found.slide_ids == tuple(slides)


def test_sampled_tiles_are_those_of_their_rows_in_their_order(cohort):
    dataset = opened(cohort)
    pixels, method = pixels_of(dataset), fine_tuned(blocks=1)
    slide = dataset.manifest.slide_ids[1]
    rows = torch.tensor([7, 0, 4])
    whole = TileBags(pixels, method, CPU).batch([slide])
    some = TileBags(pixels, method, CPU).batch([slide], subsets=[rows])
    assert torch.equal(some.features, whole.features[rows])
    assert torch.equal(some.coords, whole.coords[rows])
    encoded = EncodedBags(pixels, method, CPU).batch([slide], subsets=[rows])
    stored = torch.from_numpy(dataset.store.bag(slide).copy())
    torch.testing.assert_close(encoded.features, stored[rows], rtol=1e-3, atol=1e-4)


def test_tiles_are_read_as_extraction_read_them(cohort):
    dataset = opened(cohort)
    slide = dataset.manifest.slide_ids[0]
    side = tiny_encoder().card.scaled
    tiles = pixels_of(dataset).tiles(slide, side)
    features = tiny_encoder()(tiles)
    stored = torch.from_numpy(dataset.store.bag(slide).copy())
    torch.testing.assert_close(features, stored, rtol=1e-3, atol=1e-4)
