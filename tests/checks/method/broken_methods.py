"""A sound method, and forms of it that break one promise each."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mil_bench.base.config import tunable
from mil_bench.base.errors import FeatureError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Method, MethodConfig, Output, PaperCard, Switch
from mil_bench.nn.segment import segment_matmul, segment_softmax


class Options(MethodConfig):
    """Options of the sound method."""

    width: int = tunable(8, choices=(8, 16), ge=1)
    bias: bool = True


class Sound(Method):
    """Attention over instances, as it should be."""

    Config = Options
    paper = PaperCard("A sound method", 2026, "tests", "https://example.org")
    recipe: ClassVar[dict[str, Any]] = {"lr": 1e-3}
    ablations = Ablations(variants={"no_bias": Switch("no bias", {"bias": False})})

    def __init__(self, config: Options, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.project = nn.Linear(dim, config.width, config.bias)
        self.score = nn.Linear(config.width, 1, bias=False)
        self.classify = nn.Linear(config.width, self.n_leaves)

    def features(self, batch: BagBatch) -> Tensor:
        return self.project(batch.features).tanh()

    def weights(self, h: Tensor, batch: BagBatch) -> Tensor:
        return segment_softmax(self.score(h), batch.segment, batch.offsets)

    def forward(self, batch: BagBatch) -> Output:
        h = self.features(batch)
        weights = self.weights(h, batch)
        bags = segment_matmul(weights, h, batch.segment, batch.sizes).squeeze(1)
        return Output({LEAF: self.classify(bags)}, {LEAF: weights})


class FixedClasses(Sound):
    """Seven classes whatever the tree."""

    def __init__(self, config: Options, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.classify = nn.Linear(config.width, 7)


class FourPatches(Sound):
    """Adds the mean of the four highest values of a bag, however small it is."""

    def features(self, batch: BagBatch) -> Tensor:
        h = super().features(batch)
        top = torch.stack([bag.topk(4, dim=0).values.mean(0) for bag in h.split(batch.sizes)])
        return h + top[batch.segment]


class NeedsCoordinates(Sound):
    """Adds coordinates that may not be there."""

    def features(self, batch: BagBatch) -> Tensor:
        return super().features(batch) + batch.coords.to(batch.features).mean(1, keepdim=True) / 1e9


class OverTheBatch(Sound):
    """Subtracts the mean of all rows of the batch."""

    def features(self, batch: BagBatch) -> Tensor:
        h = super().features(batch)
        return h - h.mean(0)


class SecretOrder(Sound):
    """Earlier patches count more, undeclared."""

    def features(self, batch: BagBatch) -> Tensor:
        place = torch.cat([torch.arange(size) for size in batch.sizes])
        return super().features(batch) * (1 / (1 + place)).to(batch.features).unsqueeze(1)


class FalseOrder(Sound):
    """Declares an order that does not matter."""

    order_dependent = True


class Wordless(Sound):
    """Gives no attention."""

    def forward(self, batch: BagBatch) -> Output:
        return Output(super().forward(batch).logits)


class BareLogits(Sound):
    """Returns a tensor."""

    def forward(self, batch: BagBatch) -> Tensor:
        return super().forward(batch).logits[LEAF]


class Declares(NeedsCoordinates):
    """Says before any run that it needs coordinates."""

    needs_coords = True


class Refuses(Sound):
    """Says that it needs coordinates."""

    def forward(self, batch: BagBatch) -> Output:
        if batch.coords is None:
            raise FeatureError("tried needs coordinates, and these features have none.")
        return super().forward(batch)


class WritesFeatures(Sound):
    """Normalises the features in place."""

    def features(self, batch: BagBatch) -> Tensor:
        batch.features.clamp_(-3, 3)
        return super().features(batch)


class DoublesOnly(Sound):
    """A constant of one dtype, whatever the features are."""

    def features(self, batch: BagBatch) -> Tensor:
        return batch.features.double() @ self.project.weight.T


class NoAutocast(Sound):
    """A product of the parameters' dtype with the one that autocast chose."""

    def features(self, batch: BagBatch) -> Tensor:
        h = super().features(batch)
        return h.index_add(0, batch.segment, self.project.weight.new_zeros(h.shape))


class RandomEvaluation(Sound):
    """Drops features in evaluation too."""

    def features(self, batch: BagBatch) -> Tensor:
        return nn.functional.dropout(super().features(batch), 0.5, training=True)


class ReadsLabels(Sound):
    """Pools with the weights of the true class."""

    def features(self, batch: BagBatch) -> Tensor:
        h = super().features(batch)
        if LEAF in batch.labels:
            return h + batch.labels[LEAF][batch.segment].unsqueeze(1).to(h)
        return h


class NeedsLabels(Sound):
    """Cannot do without labels."""

    def features(self, batch: BagBatch) -> Tensor:
        h = super().features(batch)
        return h + batch.labels[LEAF][batch.segment].unsqueeze(1).to(h)


class RandomAttention(Sound):
    """Tells weights that it has not used."""

    def forward(self, batch: BagBatch) -> Output:
        drawn = torch.rand_like(batch.features[:, :1])
        weights = segment_softmax(drawn, batch.segment, batch.offsets)
        return Output(super().forward(batch).logits, {LEAF: weights})


class LooseAttention(Sound):
    """Sigmoid weights, declared to be a distribution."""

    def weights(self, h: Tensor, batch: BagBatch) -> Tensor:
        return self.score(h).sigmoid()


class NoTerms(Sound):
    """Computes a loss and does not return it."""

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        super().loss(output, batch, progress)
        return None  # type: ignore[return-value]


class TensorAsLogits(Sound):
    """Forgets the level of its logits."""

    def forward(self, batch: BagBatch) -> Output:
        return Output(super().forward(batch).logits[LEAF])  # type: ignore[arg-type]


class Exits(Sound):
    """Ends the process."""

    def forward(self, batch: BagBatch) -> Output:
        raise SystemExit(0)


class NoNumber(Sound):
    """Scores that are not a number."""

    def features(self, batch: BagBatch) -> Tensor:
        return super().features(batch) * torch.nan


class Frozen(Sound):
    """Trains nothing."""

    def __init__(self, config: Options, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.requires_grad_(False)


class DetachedTerm(Sound):
    """An auxiliary term that moves nothing."""

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        entropy = output.attention[LEAF].detach().square().mean()
        return {**super().loss(output, batch, progress), "entropy": entropy}


class IdleParameter(Sound):
    """A branch whose output nobody uses."""

    def __init__(self, config: Options, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.auxiliary = nn.Linear(config.width, 2)


class Stubborn(Sound):
    """Scores that hardly depend on the features."""

    def features(self, batch: BagBatch) -> Tensor:
        return super().features(batch) * 1e-12


class ListOption(Options):
    """An option that does not come back from JSON as it was."""

    sizes: Any = (1, 2)


class ForgetsOptions(Sound):
    """Has an option of any type."""

    Config = ListOption


class HiddenState(Sound):
    """Counts its steps in an attribute and scores by the count."""

    steps = 0

    def after_step(self, progress: float) -> None:
        self.steps += 1

    def features(self, batch: BagBatch) -> Tensor:
        return super().features(batch) + self.steps / 10


class WrongRecipe(Sound):
    """A recipe that the trainer does not know."""

    recipe: ClassVar[dict[str, Any]] = {"learning_rate": 1e-3}


class WrongRange(Options):
    """A range that reaches below what is allowed."""

    width: int = tunable(8, low=0, high=16, ge=1)


class WrongSearch(Sound):
    """Searches where nothing is valid."""

    Config = WrongRange


class EmptySwitch(Sound):
    """An ablation that changes nothing."""

    ablations = Ablations(variants={"bias": Switch("with bias", {"bias": True})})


BROKEN: dict[str, type[Method]] = {
    "numbers": NoNumber,
    "shapes": FixedClasses,
    "small bags": FourPatches,
    "coordinates": NeedsCoordinates,
    "batch = singles": OverTheBatch,
    "order of patches": SecretOrder,
    "features": WritesFeatures,
    "float16 features": DoublesOnly,
    "bfloat16": NoAutocast,
    "evaluation": RandomEvaluation,
    "labels": ReadsLabels,
    "attention": LooseAttention,
    "loss terms": DetachedTerm,
    "parameters": IdleParameter,
    "eight bags": Stubborn,
    "settings": ForgetsOptions,
    "checkpoint": HiddenState,
    "card": WrongRecipe,
    "search space": WrongSearch,
    "ablations": EmptySwitch,
}
