"""What ``--online`` says: part of a run's definition. Imports nothing heavy."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mil_bench.config import StrictConfig, build
from mil_bench.errors import UsageError

EXPECTED = "adapter, adapter=WIDTH, blocks=N or blocks=N,tiles=K"


class Adapter(StrictConfig):
    """A residual adapter on the stored features; ``adapter`` is its hidden width."""

    adapter: int = Field(64, ge=1)


class Blocks(StrictConfig):
    """The last ``blocks`` blocks of the encoder, trained on ``tiles`` tiles per bag and step."""

    blocks: int = Field(ge=1)
    tiles: int = Field(32, ge=1)


Online = Adapter | Blocks


def parse_online(text: str) -> Online:
    """The words behind ``--online``: ``adapter``, ``adapter=32``, ``blocks=2,tiles=16``.

    Raises ``UsageError`` (or one of its kinds) for anything else.
    """
    words = [word.strip() for word in text.split(",")]
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if name in values or (equals and not value) or (not equals and word != "adapter"):
            raise UsageError(f"--online {text!r} cannot be read at {word!r}; expected {EXPECTED}.")
        values[name] = value
    if not {"adapter", "blocks"} & set(values):
        raise UsageError(f"--online {text!r} names neither kind; expected {EXPECTED}.")
    said = {name: value for name, value in values.items() if value}
    if "adapter" in values:
        return build(Adapter, said, "--online")
    return build(Blocks, said, "--online")


def as_words(online: Online) -> str:
    """What :func:`parse_online` reads: ``blocks=2,tiles=16``."""
    return ",".join(f"{name}={value}" for name, value in online.model_dump().items())
