"""Commands with plug-ins that a test writes, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_requests import PLUGIN

from mil_bench.cli.main import main

HEAD = """\
import torch
from torch import nn

from mil_bench.contract.method import Method, MethodConfig, Output, PaperCard
from mil_bench.methods import METHODS
from mil_bench.nn.order import needed_coords
from mil_bench.nn.segment import segment_mean


class Base(Method):
    paper = PaperCard("Bad", 2026, "none", "https://example.org")
    recipe = {"epochs": 1, "batch_size": 8}

    def __init__(self, config, dim, taxonomy):
        super().__init__(config, dim, taxonomy)
        self.classifier = nn.Linear(dim, self.n_leaves)

    def forward(self, batch):
        return Output({"leaf": self.classifier(segment_mean(batch.features, batch.offsets))})


"""
LOSS = '@METHODS.register("bad")\nclass Bad(Base):\n    def loss(self, output, batch, _):\n        '
FIRST = HEAD.count("\n") + 1  # the line where what a test adds begins


def obey(capfd, *words: str) -> tuple[int, str, str]:
    """Exit code, what was printed, and the errors, of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    told = capfd.readouterr()
    return ended.value.code, " ".join(told.out.split()), " ".join(told.err.split())


def run_beside(capfd, code: str) -> tuple[int, str, str]:
    """Run the method ``bad`` of a plug-in and the good one of the toys, on data without coords."""
    Path("bad.py").write_text(HEAD + code)
    words = "run -m bad,plain -d toy --fold 0 --set epochs=1 --set batch_size=8 --device cpu"
    return obey(capfd, *words.split(), "--plugin", PLUGIN, "--plugin", "bad.py")
