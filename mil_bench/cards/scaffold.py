"""The text of a new method: a plug-in file that works unchanged and shows where to change it."""

from __future__ import annotations

import re
from string import Template

from mil_bench.base.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_FRESH = Template('''\
"""$name: describe it in one line."""

from torch import nn

from mil_bench import (
    LEAF,
    METHODS,
    BagBatch,
    HeadConfig,
    HeadedMethod,
    Output,
    PaperCard,
    Projection,
    Taxonomy,
    segment_matmul,
    segment_softmax,
    tunable,
)


class ${cls}Config(HeadConfig):
    """Settings are typed fields (`--set width=128`); those that `tune` searches have a range."""

    width: int = tunable(128, choices=(64, 128, 256), ge=1)
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)


@METHODS.register("$name")
class ${cls}(HeadedMethod):
    """Attention pooling: `a = softmax_N(w h)`, `z = sum_i a_i h_i`. Change it."""

    Config = ${cls}Config
    paper = PaperCard(
        "Title",
        $year,
        "venue",
        "https://",
        differs=("from the official code",),
        steps=("project", "attention", "weighted mean", "classify"),  # drawn by `show --page DIR`
        losses=("cross entropy",),
    )
    recipe = {"lr": 1e-3, "epochs": 50, "patience": 10}  # training settings of the paper

    def __init__(self, config: ${cls}Config, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)  # dim features per patch, self.n_leaves classes
        self.project = Projection(dim, config.width, config.dropout)
        self.score = nn.Linear(config.width, 1)
        self.classifier = nn.Linear(config.width, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Score several bags, packed in one tensor without padding; never read `batch.labels`."""
        h = self.project(batch.features)  # (sum N, width)
        attention = segment_softmax(self.score(h), batch.segment, batch.offsets)  # (sum N, 1)
        z = segment_matmul(attention, h, batch.segment, batch.sizes).squeeze(1)  # (bags, width)
        return Output(self.decision(self.classifier(z)), {LEAF: attention})

    # `loss(self, output, batch, progress)` can add named terms to those of the head:
    # return {**super().loss(output, batch, progress), "mine": 0.1 * term}
''')

_DERIVED = Template('''\
"""$name: $base, changed. Describe the change in one line."""

from torch import Tensor

from mil_bench import (
    LEAF,
    METHODS,
    Ablations,
    BagBatch,
    Component,
    Output,
    PaperCard,
    Taxonomy,
    tunable,
)

$parent = METHODS.get("$base")


class ${cls}Config($parent.Config):
    """The settings of $base and an additional one: `--set logit_weight=0`."""

    logit_weight: float = tunable(0.01, low=0.0, high=0.1, ge=0)


@METHODS.register("$name")
class ${cls}($parent):
    """$base with a penalty on large logits. Change it."""

    Config = ${cls}Config
    config: ${cls}Config
    paper = PaperCard(
        "Title",
        $year,
        "venue",
        "https://",
        differs=("from $base",),
        steps=$parent.paper.steps,  # drawn by `mil-bench show $name --page DIR`
        losses=(*$parent.paper.losses, "penalty on large logits"),
    )
    # Removed by `mil-bench ablate`, which compares with $base under the same budget:
    ablations = Ablations(
        components={"penalty": Component("penalty", {"logit_weight": 0.0})}, twins=("$base",)
    )

    def __init__(self, config: ${cls}Config, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)  # then additional layers, or replacements

    def forward(self, batch: BagBatch) -> Output:
        """Return logits by level, attention by level, and `extras` that the loss requires."""
        return super().forward(batch)

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return named, weighted terms; the harness adds them. `progress` runs from 0 to 1."""
        terms = super().loss(output, batch, progress)
        if self.config.logit_weight == 0:
            return terms
        penalty = output.logits[LEAF].square().mean()
        return {**terms, "penalty": self.config.logit_weight * penalty}
''')


def checked_name(name: str) -> str:
    """Return ``name``. Raises ``UsageError`` unless a new method can have it."""
    from mil_bench.methods import METHODS

    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a method; use lower-case letters, digits and `-`: my-mil."
        )
    if name in METHODS:
        raise UsageError(f"method {name!r} exists already; choose another name.")
    return name


def method_text(name: str, base: str | None) -> str:
    """Return a file that registers ``name``: a small method, or one derived from ``base``."""
    from datetime import date

    words = {
        "name": name,
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "year": str(date.today().year),
    }
    if base is None:
        return _FRESH.substitute(words)
    from mil_bench.methods import METHODS

    parent = METHODS.get(base)
    return _DERIVED.substitute(words, base=base, parent=parent.__name__)
