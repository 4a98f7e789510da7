"""``submission.toml``: who made the runs of a bundle, with which code, data and machine."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Literal

from pydantic import Field

from mil_bench.base.config import StrictConfig, build
from mil_bench.base.errors import ConfigError

FORMAT = 1
"""Version of bundles that this code writes; it reads this one and all before."""
NAME = "submission.toml"
Settings = Literal["default", "tuned", "chosen"]


class Submission(StrictConfig):
    """What a bundle says about its runs besides the runs themselves.

    ``settings`` are the method's defaults, the outcome of a search of ``trials`` trials, or values
    ``chosen`` by its authors. ``ids`` are ``keyed`` where slide and patient ids are keyed hashes.
    ``protocol_digest`` is the SHA-256 of the protocol's file.
    """

    format: int = Field(FORMAT, ge=1)
    method: str = Field(min_length=1)
    people: tuple[str, ...] = Field(min_length=1)
    licence: str = Field(min_length=1)
    code: str = Field(min_length=1)
    commit: str = ""
    external_data: str = "none"
    pretraining: str = "none"
    settings: Settings = "default"
    trials: int = Field(0, ge=0)
    hardware: str = ""
    protocol: str = ""
    protocol_digest: str = ""
    ids: Literal["public", "keyed"] = "public"
    labels: Literal["included", "left out"] = "included"


def parse_submission(text: str, owner: str) -> Submission:
    """Read the text of a ``submission.toml``; ``owner`` names the file in messages.

    Raises ``UsageError`` for text that is not TOML, for a missing, unknown or wrong key, and for
    a format of a later version.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{owner} is not valid TOML: {error}; correct it.") from None
    version = values.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise ConfigError(
            f"{owner} has format {version}; this version of mil-bench reads up to {FORMAT}. "
            "Update mil-bench."
        )
    return build(Submission, values, owner)


def submission_text(submission: Submission) -> str:
    """Return ``submission`` as the text of a TOML file, every key once."""
    values = submission.model_dump(mode="json")
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())


def toml_value(value: str | int | list[Any]) -> str:
    """Return one value in TOML's spelling, which is that of JSON but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
