"""A check of a method: the method under test, a requirement, and the advice if it is not met."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from mil_bench.base.config import build
from mil_bench.base.error_location import place_of
from mil_bench.base.errors import MilBenchError, RunError
from mil_bench.base.finding import Finding
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.checked_methods import held
from mil_bench.contract.method import Method, MethodConfig

SEED = 1


@dataclass(frozen=True)
class Candidate:
    """A method class, the name that messages use, and settings other than the defaults."""

    name: str
    kind: type[Method]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, **overrides: Any) -> MethodConfig:
        """Return its configuration. Raises ``ConfigError`` or ``UnknownNameError``."""
        return build(self.kind.Config, {**self.settings, **overrides}, f"method {self.name}")

    def make(self, taxonomy: Taxonomy, dim: int = 6, seed: int = SEED, **overrides: Any) -> Method:
        """Return a new model whose outputs and losses are checked against the contract."""
        return held(self.plain(taxonomy, dim, seed, **overrides))

    def plain(self, taxonomy: Taxonomy, dim: int = 6, seed: int = SEED, **overrides: Any) -> Method:
        """Return a new model with float64 parameters, so that equal results are equal to 1e-7."""
        config = self.config(**overrides)
        torch.manual_seed(seed)  # the same weights in every check
        return self.kind(config, dim, taxonomy).double()


CheckFunction = Callable[[Candidate], str]


class Broken(Exception):
    """The requirement is not met; the message states what was seen."""


class NotFinite(Broken):
    """An output or a loss holds NaN or Inf."""


class Doubtful(Exception):
    """Nothing that stops a run; the message states what was seen."""


@dataclass(frozen=True)
class Check:
    """A requirement that returns a finding when called with a method; it raises nothing.

    ``look`` returns a sentence, or raises :class:`Broken` or :class:`Doubtful`. Any other error is
    a problem of the method.
    """

    subject: str
    advice: str
    look: CheckFunction

    def __call__(self, method: Candidate) -> Finding:
        """Return the finding on one method."""
        try:
            return Finding(self.subject, self.look(method))
        except Broken as error:
            return Finding(self.subject, str(error), "problem", self.advice, error)
        except Doubtful as error:
            return Finding(self.subject, str(error), "note", self.advice)
        except RunError as error:  # the contract, whose message has the advice
            return Finding(self.subject, str(error), "problem")
        except MilBenchError as error:
            fact = str(error)
        except (Exception, SystemExit) as error:
            where = place_of(error)
            fact = f"{type(error).__name__}: {' '.join(str(error).split())}"
            fact += f" ({where})" if where else ""
        return Finding(self.subject, fact, "problem", self.advice)


def check(subject: str, advice: str) -> Callable[[CheckFunction], Check]:
    """Return a decorator that makes a check of a function."""
    return lambda look: Check(subject, advice, look)
