"""Methods from outside that do not keep the contract: one sentence with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_requests import LOSS, obey, run_beside
from run_requests import PLUGIN


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            '@METHODS.register("bad")\nclass Bad(nn.Module):\n    """Bad."""\n',
            "method 'bad' (bad.py, line 22) is not derived from mil_bench.Method, so it lacks loss",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Method):\n    """Bad."""\n',
            "method 'bad' (bad.py, line 22) lacks forward, paper (a PaperCard); add it",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    class Config(MethodConfig):\n'
            "        width: int\n",
            "method 'bad' (bad.py, line 22) lacks a default of its option width; add it",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    version = 2\n',
            "method 'bad' (bad.py, line 22) lacks a version that is a text, such as '1'; add it",
        ),
        (
            LOSS.replace(", _)", ")") + "return {}\n",
            "method 'bad': loss (bad.py, line 24) cannot be called with (output, batch, progress); "
            "add these arguments.",
        ),
    ],
    ids=["module", "empty", "option", "version", "loss"],
)
def test_a_class_that_is_no_method_is_refused_before_anything_is_run(capfd, code, sentence):
    status, _, told = run_beside(capfd, code)
    assert status == 2
    assert sentence in told
    assert not list(Path().glob("runs/toy/*"))
    for words in (
        "show bad",
        "check method bad",
        "ablate --method bad -d toy",
        "run -m bad -d toy",
    ):
        status, _, told = obey(capfd, *words.split(), "--plugin", PLUGIN, "--plugin", "bad.py")
        assert (status, sentence in told) == (2, True), words


FORWARD = """\
@METHODS.register("bad")
class Bad(Base):
    def forward(self, batch):
        z = segment_mean(batch.features, batch.offsets)
        output = super().forward(batch)
        {}
"""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            FORWARD.format('return Output({"leaf": output.logits["leaf"][:, :3]})'),
            "forward (bad.py, line 24) gives leaf logits of shape (8, 3) for 8 bags and 4 classes; "
            "return (8, 4).",
        ),
        (
            FORWARD.format('return Output({"coarse": z[:, :2]})'),
            "forward (bad.py, line 24) has logits of ['coarse']; add those of 'leaf'.",
        ),
        (
            FORWARD.format('return Output({**output.logits, "middle": z})'),
            "forward (bad.py, line 24) has logits of 'middle'; levels are ['coarse', 'leaf'].",
        ),
        (
            FORWARD.format('return Output(output.logits, {"leaf": z[:, :1]})'),
            "forward (bad.py, line 24) gives leaf attention of shape (8, 1) for",
        ),
        (FORWARD.format("return z"), "forward (bad.py, line 24) returns Tensor; return an Output."),
        (LOSS + "pass\n", "loss (bad.py, line 24) returns NoneType; return a dictionary"),
        (LOSS + "return {}\n", "loss (bad.py, line 24) returns no term; return a dictionary"),
        (
            LOSS + 'return {"ce": output.logits["leaf"].sum(1)}\n',
            "loss (bad.py, line 24) gives 'ce' as (8,); return a tensor of shape ().",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    needs_coords = True\n',
            "method 'bad' (bad.py, line 22) requires coordinates, but the features of toy lack",
        ),
        (
            FORWARD.format('needed_coords(batch, "bad", "use another method")'),
            "bad requires coordinates of patches, but these features have none",
        ),
        (
            FORWARD.format("return z[batch.coords.long()]"),
            "AttributeError: 'NoneType' object has no attribute 'long' (bad.py, line 27, see",
        ),
        (FORWARD.format("raise SystemExit(0)"), "SystemExit: 0 (bad.py, line 27, see"),
        (
            LOSS + 'return {"ce": torch.ones(())}\n',
            "loss (bad.py, line 24) gives terms that depend on no parameter: ce; compute one of",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    def __init__(self, *args):\n'
            "        super().__init__(*args)\n        self.requires_grad_(False)\n",
            "method 'bad' (bad.py, line 22) has no parameter to train; create its layers",
        ),
        (
            LOSS + 'return {"mine": output.logits["leaf"].sum() * float("nan")}\n',
            "the training loss became nan in epoch 1 (not finite: loss, loss_mine); lower lr",
        ),
    ],
    ids=[
        *("shape", "no_leaf", "no_level", "attention", "no_output"),
        *("no_loss", "no_terms", "no_number", "coords", "asks_for_coords", "reads_coords"),
        *("exits", "no_gradient", "no_parameter", "nan"),
    ],
)
def test_a_method_that_breaks_its_promises_is_a_failed_row_and_the_others_go_on(
    capfd, code, sentence
):
    status, out, _ = run_beside(capfd, code)
    assert status == 1
    assert sentence in out
    assert "1 done, 0 done before, 1 failed" in out
    assert list(Path().glob("runs/toy/plain/*/result.json"))
