"""``submission.toml``: who made the runs of a bundle, with which code, data and machine."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from mil_bench.base.atomic import write_text
from mil_bench.base.config import StrictConfig, build, read_toml
from mil_bench.base.errors import ConfigError, UsageError
from mil_bench.base.formats import BUNDLE, format_of
from mil_bench.base.toml_text import toml_text

NAME = "submission.toml"
Settings = Literal["default", "tuned", "chosen"]


class Authorship(StrictConfig):
    """What only the authors can say: the file that they fill in before a bundle is packed.

    ``code`` is an address, ``commit`` the state of the code behind it. ``external_data`` and
    ``pretraining`` name data of the training that are not of the protocol.
    """

    people: tuple[str, ...] = Field(min_length=1)
    licence: str = Field(min_length=1)
    code: str = Field(min_length=1)
    commit: str = ""
    external_data: str = "none"
    pretraining: str = "none"


class Submission(Authorship):
    """What a bundle says about its runs besides the runs themselves.

    ``method`` names its row, ``anchors`` the methods at their defaults beside it.
    ``settings`` are the method's defaults, the outcome of a search of ``trials`` trials, or values
    ``chosen`` by its authors. ``ids`` are ``keyed`` where slide and patient ids are keyed hashes.
    ``protocol_digest`` is the SHA-256 of the protocol's file.
    """

    format: int = Field(BUNDLE, ge=1)
    method: str = Field(min_length=1)
    anchors: tuple[str, ...] = ()
    settings: Settings = "default"
    trials: int = Field(0, ge=0)
    hardware: str = ""
    protocol: str = ""
    protocol_digest: str = ""
    ids: Literal["public", "keyed"] = "public"
    labels: Literal["included", "left out"] = "included"


def parse_submission(text: str, owner: str) -> Submission:
    """Read the text of a ``submission.toml``; ``owner`` names the file in messages.

    Raises ``UsageError`` for text that is not TOML and for a missing, unknown or wrong key, and
    ``DataError`` for a format of a later version.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{owner} is not valid TOML: {error}; correct it.") from None
    format_of(values, BUNDLE, owner)
    return build(Submission, values, owner)


def submission_text(submission: Submission) -> str:
    """Return ``submission`` as the text of a TOML file, every key once."""
    return toml_text(submission.model_dump(mode="json"))


FORM: Final = """\
# Fill in, then rerun the command (docs/submit.md).

# Names of the authors, in quotes, separated by commas.
people = []

# Licence of the predictions, such as CC-BY-4.0.
licence = ""

# Address of the code of the method, and its commit.
code = ""
commit = ""

# Training data beyond the protocol, and pre-training of the method itself.
external_data = "none"
pretraining = "none"
"""


def read_authorship(path: Path) -> Authorship:
    """Read the file that authors fill in; a missing one is written as an empty form.

    Raises ``UsageError`` after writing the form, and for a wrong or missing value.
    """
    if not path.exists():
        write_text(path, FORM)
        raise UsageError(
            f"{path} is now an empty form; fill in people, licence and code, then rerun the same "
            "command."
        )
    return build(Authorship, read_toml(path, "submission"), str(path))
