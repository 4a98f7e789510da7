"""Dataset adapters from outside that do not keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_requests import obey

DATA = """\
from mil_bench.contract.dataset import DatasetAdapter
from mil_bench.datasets import DATASETS
from toy_grid import ToyData


@DATASETS.register("bad-data")
"""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "def load(options): ...\n",
            "(bad.py, line 6) is not derived from mil_bench.contract.dataset.D",
        ),
        ("class Bad(DatasetAdapter): ...\n", "(bad.py, line 6) lacks load, card (a DatasetCard); "),
        ("class Bad(ToyData): ...\n", "lacks the name 'bad-data' on its card (it has 'toy'); "),
        (
            "class Bad(ToyData):\n    from dataclasses import replace\n"
            "    card = replace(ToyData.card, name='bad-data')\n"
            "    def load(self, options):\n        return {}['s1']\n",
            "dataset 'bad-data' cannot be read: KeyError: 's1' (bad.py, line 11); correct its",
        ),
        (
            "class Bad(ToyData):\n    from dataclasses import replace\n"
            "    card = replace(ToyData.card, name='bad-data')\n"
            "    def load(self, options):\n        pass\n",
            "load (bad.py, line 10) of dataset 'bad-data' returns NoneType; return a Dataset.",
        ),
    ],
    ids=["function", "empty", "name", "raises", "none"],
)
def test_a_dataset_that_keeps_no_promise_is_one_sentence(capfd, code, sentence):
    Path("bad.py").write_text(DATA + code)
    for words in ("run -m mean -d bad-data", "check dataset bad-data"):
        status, _, told = obey(capfd, *words.split(), "--plugin", "bad.py")
        assert status in (1, 2)
        assert told.startswith("error: ")
        assert sentence in told
