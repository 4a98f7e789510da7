"""mil-bench: benchmark of multiple-instance learning on whole slide images.

Every public name is imported from here, ``from mil_bench import Method, run, leaderboard``, and no
code outside the package depends on where its parts are (``docs/python.md``). A name is imported
when it is first used: ``import mil_bench`` and ``mil-bench --help`` load no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mil_bench.base.version import __version__ as __version__

if TYPE_CHECKING:  # the same names for type checkers and IDEs, which cannot read _HOMES
    from mil_bench.base.config import tunable as tunable
    from mil_bench.base.errors import MilBenchError as MilBenchError
    from mil_bench.base.taxonomy import LEAF as LEAF
    from mil_bench.base.taxonomy import Taxonomy as Taxonomy
    from mil_bench.boards.frames import leaderboard as leaderboard
    from mil_bench.boards.frames import score as score
    from mil_bench.contract.batch import BagBatch as BagBatch
    from mil_bench.contract.dataset import Dataset as Dataset
    from mil_bench.contract.dataset import DatasetAdapter as DatasetAdapter
    from mil_bench.contract.dataset import DatasetCard as DatasetCard
    from mil_bench.contract.dataset import DatasetOptions as DatasetOptions
    from mil_bench.contract.manifest import Manifest as Manifest
    from mil_bench.contract.method import Ablations as Ablations
    from mil_bench.contract.method import Component as Component
    from mil_bench.contract.method import Method as Method
    from mil_bench.contract.method import MethodConfig as MethodConfig
    from mil_bench.contract.method import Output as Output
    from mil_bench.contract.method import PaperCard as PaperCard
    from mil_bench.contract.spec import RunSpec as RunSpec
    from mil_bench.contract.spec import TrainerConfig as TrainerConfig
    from mil_bench.contract.split import Split as Split
    from mil_bench.datasets import DATASETS as DATASETS
    from mil_bench.datasets.load import load_dataset as load_dataset
    from mil_bench.evaluation.inference.bootstrap import Bootstrap as Bootstrap
    from mil_bench.evaluation.inference.ranks import bootstrap_tiers as bootstrap_tiers
    from mil_bench.evaluation.metrics import Score as Score
    from mil_bench.evaluation.predictions import Predictions as Predictions
    from mil_bench.exchange.models.load_model import LoadedModel as LoadedModel
    from mil_bench.exchange.models.load_model import load_model as load_model
    from mil_bench.exchange.models.predict import PredictedSlides as PredictedSlides
    from mil_bench.exchange.models.predict import predict as predict
    from mil_bench.methods import METHODS as METHODS
    from mil_bench.nn.entropy import EntropyConfig as EntropyConfig
    from mil_bench.nn.entropy import entropy_term as entropy_term
    from mil_bench.nn.headed import HeadConfig as HeadConfig
    from mil_bench.nn.headed import HeadedMethod as HeadedMethod
    from mil_bench.nn.layers import Projection as Projection
    from mil_bench.nn.order import Ordered as Ordered
    from mil_bench.nn.order import needed_coords as needed_coords
    from mil_bench.nn.segment import segment_matmul as segment_matmul
    from mil_bench.nn.segment import segment_softmax as segment_softmax
    from mil_bench.nn.stock import stock_layers as stock_layers
    from mil_bench.runs.run import CompletedRun as CompletedRun
    from mil_bench.runs.run import run as run

_HOMES = {
    "base.config": ("tunable",),
    "base.errors": ("MilBenchError",),
    "base.taxonomy": ("LEAF", "Taxonomy"),
    "boards.frames": ("leaderboard", "score"),
    "contract.batch": ("BagBatch",),
    "contract.dataset": ("Dataset", "DatasetAdapter", "DatasetCard", "DatasetOptions"),
    "contract.manifest": ("Manifest",),
    "contract.method": (
        *("Ablations", "Component", "Method", "MethodConfig", "Output", "PaperCard"),
    ),
    "contract.spec": ("RunSpec", "TrainerConfig"),
    "contract.split": ("Split",),
    "datasets": ("DATASETS",),
    "datasets.load": ("load_dataset",),
    "evaluation.inference.bootstrap": ("Bootstrap",),
    "evaluation.inference.ranks": ("bootstrap_tiers",),
    "evaluation.metrics": ("Score",),
    "evaluation.predictions": ("Predictions",),
    "exchange.models.load_model": ("LoadedModel", "load_model"),
    "exchange.models.predict": ("PredictedSlides", "predict"),
    "methods": ("METHODS",),
    "nn.entropy": ("EntropyConfig", "entropy_term"),
    "nn.headed": ("HeadConfig", "HeadedMethod"),
    "nn.layers": ("Projection",),
    "nn.order": ("Ordered", "needed_coords"),
    "nn.segment": ("segment_matmul", "segment_softmax"),
    "nn.stock": ("stock_layers",),
    "runs.run": ("CompletedRun", "run"),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
