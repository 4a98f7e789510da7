"""ABMIL as in AMLab's repository: MNIST widths by sidecar, sigmoid head, clamped likelihood."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.abmil import ABMIL, ABMILConfig

RULES = (
    (r"^feature_extractor_part2\.0\.", "project.0."),
    (r"^attention(?:_V)?\.0\.", "attention.value."),
    (r"^attention_U\.0\.", "attention.gate."),
    (r"^attention(?:_w|\.2)\.", "attention.score."),
    (r"^classifier\.0\.", "classifier."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    config = ABMILConfig(
        width=made["M"],
        hidden=made["L"],
        gated=made["model"] == "gated",
        dropout=0,
        attention_dropout=0,
        head="sigmoid",
    )
    model = ABMIL(config, made["D"], Taxonomy.flat("golden", ["negative", "positive"]))
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> Mapping[str, Tensor]:
        batch = BagBatch.pack([inputs["x"]])
        output = model(batch)
        logit = output.logits[LEAF][:, 1]
        outputs = {
            "attention_raw": output.extras["scores"].T,
            "attention": output.attention[LEAF].T,
            "logit": logit,
            "prob": output.logits[LEAF].softmax(1)[:, 1],
            "y_hat": (output.logits[LEAF].argmax(1)).to(dtype),
            "bag_feature": output.extras["bag_features"],
        }
        for label in (0, 1):
            labelled = BagBatch.pack([inputs["x"]], labels={LEAF: torch.tensor([label])})
            outputs[f"loss_nll_label{label}"] = model.loss(output, labelled, 0.0)["nll"]
        return outputs

    compare.check_bags(case, dtype, parameters, evaluate)
