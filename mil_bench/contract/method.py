"""The contract of a method: its model, loss, configuration, paper card and declared parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from mil_bench.base.config import StrictConfig
from mil_bench.base.errors import UsageError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.numerics import cross_entropy


@dataclass(frozen=True)
class Switch:
    """One change of a method: ``overrides`` of its configuration.

    ``title`` names what is switched in tables. ``levels`` says that it needs a label tree of two
    or more levels.
    """

    title: str
    overrides: Mapping[str, Any]
    levels: bool = False


@dataclass(frozen=True)
class Component(Switch):
    """A part of the method; the overrides take it out and do nothing else.

    ``within`` names the component that it is a part of: without that one it means nothing.
    """

    within: str = ""


@dataclass(frozen=True)
class Ablations:
    """All that ``mil-bench ablate`` may change.

    ``components`` are left out one at a time, and added one at a time to the bare method, which has
    none of them. ``variants`` are other forms of the method. ``controls`` break what the method
    claims to use: a gain that survives one is not due to it. ``twins`` are simpler methods that
    are trained with the same budget.
    """

    components: Mapping[str, Component] = field(default_factory=dict)
    variants: Mapping[str, Switch] = field(default_factory=dict)
    controls: Mapping[str, Switch] = field(default_factory=dict)
    twins: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.components or self.variants or self.controls or self.twins)

    @property
    def switches(self) -> dict[str, Switch]:
        """Every single change by name: ``no_<component>``, variants, controls."""
        left_out = {f"no_{name}": part for name, part in self.components.items()}
        return {**left_out, **self.variants, **self.controls}


# The contract of a method: a model, its loss, its configuration and its paper card.
#
# A method never contains a training loop. See ``docs/add-a-method.md``.


class MethodConfig(StrictConfig):
    """Base of every method's configuration."""


@dataclass(frozen=True)
class PaperCard:
    """Where a method comes from and how this implementation differs from the official code.

    ``measured`` are lines of a table behind the defaults of choices that the paper leaves open.
    ``steps`` lead from patches to prediction by default, a few words each, and ``losses`` train
    them. The figure of ``mil-bench show NAME --page DIR`` marks those whose words are not ABMIL's.
    Raises ``UsageError`` where one text stands for several.
    """

    title: str
    year: int
    venue: str
    link: str  # DOI or arXiv
    code: str = ""  # repository @ commit that the golden vectors come from
    differs: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("differs", "measured", "steps", "losses"):
            value = getattr(self, name)
            if isinstance(value, str):  # or each of its letters would be a line
                raise UsageError(
                    f"{name} of the paper card is a string; write a tuple: {name}=({value!r},)."
                )


@dataclass
class Output:
    """What a forward pass returns.

    ``logits``     level name -> ``(B, K_level)``. ``leaf`` is always there; further levels are the
                   direct heads of hierarchical methods.
    ``attention``  level name -> ``(sum N, K)``, each column summing to 1 within each bag (or raw
                   relevance where a method has none; see its docstring). May be empty.
    ``extras``     tensors that the method's own loss needs.
    """

    logits: dict[str, Tensor]
    attention: dict[str, Tensor] = field(default_factory=dict)
    extras: dict[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """Base class of all methods.

    Built as ``MethodClass(config, dim, taxonomy)`` with ``dim`` the feature dimension. Class
    attributes: ``Config``; ``paper``; ``recipe`` (training settings of the paper, keys of
    ``TrainerConfig``); ``ablations`` (its components, variants, controls and twins); ``version``
    (raised when a change alters results, part of every run key); ``order_dependent`` (the order of
    instances matters); ``needs_coords`` (data without coordinates are refused);
    ``attention_is_distribution`` (false where ``Output.attention`` holds raw
    relevance); ``safe_in_bf16`` (bfloat16 was measured to cost no quality, see
    ``docs/performance.md``; ``--precision auto`` uses it only then); ``head_layers`` (what belongs
    to the classes and not to the slides, see :meth:`is_head`).

    The harness saves and restores only the ``state_dict()`` of a method. State that must outlive a
    killed process is a buffer or a parameter without gradient, such as a teacher's weights.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    paper: ClassVar[PaperCard]
    recipe: ClassVar[Mapping[str, Any]] = {}
    ablations: ClassVar[Ablations] = Ablations()
    version: ClassVar[str] = "1"
    order_dependent: ClassVar[bool] = False
    needs_coords: ClassVar[bool] = False
    attention_is_distribution: ClassVar[bool] = True
    safe_in_bf16: ClassVar[bool] = False
    head_layers: ClassVar[tuple[str, ...]] = ("classifier",)

    def __init__(self, config: MethodConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.config, self.dim, self.taxonomy = config, dim, taxonomy
        self._class_weights: dict[str, Tensor] = {}  # set by the harness, from training labels

    @abstractmethod
    def forward(self, batch: BagBatch) -> Output:
        """Score every bag. Must not read ``batch.labels``."""

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return named loss terms, already weighted; the harness adds them up.

        ``progress`` in ``[0, 1]`` is ``epoch / epochs``, for curricula. The default is cross
        entropy on the leaf logits.
        """
        return {"ce": self.cross_entropy(output.logits[LEAF], batch.labels[LEAF], LEAF)}

    def before_epoch(self, progress: float) -> None:
        """Run before the first batch of every epoch, with the ``progress`` of its loss."""

    def after_step(self, progress: float) -> None:
        """Run after every step of the optimiser, as for a moving average of the weights."""

    def set_class_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Set weights ``(K_level,)`` per level for :meth:`cross_entropy`; the harness calls it."""
        self._class_weights = dict(weights)

    def cross_entropy(self, logits: Tensor, target: Tensor, level: str) -> Tensor:
        """Average the cross entropy over bags, with class weights of ``level`` if there are any."""
        return cross_entropy(logits, target, self._class_weights.get(level))

    def is_head(self, name: str) -> bool:
        """Return whether a parameter or buffer belongs to the head; all others are the body.

        It does where its dotted name contains a name of :attr:`head_layers`:
        ``first.classifier.weight`` is of ``classifier``. Class-wise attention belongs to the head,
        because its shape does. With initial weights of another label tree the head is new, and
        ``--set train=head`` trains nothing else.
        """
        return any(f".{part}." in f".{name}." for part in self.head_layers)

    @property
    def neighbours(self) -> int:
        """Nearest patches that a graph on coordinates has for each; 0: no ``batch.edges``."""
        return 0

    @property
    def n_leaves(self) -> int:
        """Number of leaf classes."""
        return len(self.taxonomy.leaves)
