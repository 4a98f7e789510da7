"""Which runs of a method were made with its default settings, as far as it is installed here."""

from __future__ import annotations

from mil_bench.dataset import DatasetCard
from mil_bench.datasets import DATASETS
from mil_bench.errors import UsageError
from mil_bench.methods import METHODS
from mil_bench.runs.settings import resolve
from mil_bench.spec import RunSpec

NO_ADVICE = DatasetCard("", "", "", "", "", {}, "")


def is_default(spec: RunSpec) -> bool:
    """Whether the method, in its present version, has these settings without ``--set``.

    A dataset that is not registered, such as a ``.toml``, is taken to recommend none. A method
    that is not installed has no default.
    """
    try:
        cls = METHODS.get(spec.method)
        card = DATASETS.get(spec.dataset).card if spec.dataset in DATASETS else NO_ADVICE
    except UsageError:
        return False
    usual = resolve({spec.method: cls}, card, {})[spec.method]
    return (
        spec.method_version == cls.version
        and spec.method_config == usual.method.model_dump(mode="json")
        and spec.trainer == usual.trainer
        and spec.online is None
    )
