"""A check: a promise, how to look whether it is kept, and what to do if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mil_bench.conformance.candidate import Candidate
from mil_bench.contracts.culprit import place_of
from mil_bench.errors import MilBenchError, RunError
from mil_bench.finding import Finding

Look = Callable[[Candidate], str]


class Broken(Exception):
    """The promise is not kept; the message says what was seen."""


class Doubtful(Exception):
    """Nothing that stops a run; the message says what was seen."""


@dataclass(frozen=True)
class Check:
    """Called with a method, a check gives its finding; it raises nothing.

    ``look`` returns a sentence, or raises :class:`Broken` or :class:`Doubtful`. Whatever else it
    raises is a problem of the method.
    """

    subject: str
    advice: str
    look: Look

    def __call__(self, method: Candidate) -> Finding:
        """The verdict on one method."""
        try:
            return Finding(self.subject, self.look(method))
        except Broken as error:
            fact = str(error)
        except Doubtful as error:
            return Finding(self.subject, str(error), "note", self.advice)
        except RunError as error:  # the contract, which says what to do
            return Finding(self.subject, str(error), "problem")
        except MilBenchError as error:
            fact = str(error)
        except (Exception, SystemExit) as error:
            where = place_of(error)
            told = f"{type(error).__name__}: {' '.join(str(error).split())}"
            fact = f"{told} ({where})" if where else told
        return Finding(self.subject, fact, "problem", self.advice)


def check(subject: str, advice: str) -> Callable[[Look], Check]:
    """Decorator that makes a check of what looks."""
    return lambda look: Check(subject, advice, look)
