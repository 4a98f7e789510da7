"""Mean and max pooling (RRT-MIL's baselines) and CLAM's MIL_fc, MIL_fc_mc."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.pooling import MaxPooling, MaxPoolingConfig, MeanPooling, PoolingConfig

RULES = (
    (r"^(?:fc|head)\.0\.", "project.0."),
    (r"^(?:head\.\d+|classifiers?)\.", "classifier."),
)
SELECT = {"MaxMIL": "per_class", "MIL_fc": "positive_instance", "MIL_fc_mc": "top_instance"}


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    weights = [p["shape"] for p in case.meta["params"] if p["name"].endswith("weight")]
    (width, dim), (classes, _) = weights
    taxonomy = Taxonomy.flat("golden", [f"class{c}" for c in range(classes)])
    if made["cls"] == "MeanMIL":
        model = MeanPooling(PoolingConfig(width=width), dim, taxonomy)
    else:
        model = MaxPooling(MaxPoolingConfig(width=width, select=SELECT[made["cls"]]), dim, taxonomy)
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> Mapping[str, Tensor]:
        label = torch.tensor([bag["meta"]["label"]])
        batch = BagBatch.pack([inputs["x"]], labels={LEAF: label})
        output = model(batch)
        logits, probabilities = output.logits[LEAF], output.attention[LEAF]
        h = model.project(inputs["x"])
        outputs = {
            "logits": logits,
            "prob": logits.softmax(1),
            "y_hat": logits.argmax(1),
            "instance_prob": probabilities,
            "instance_logits": model.classifier(h),
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }
        if made["cls"].startswith("MIL_fc"):
            outputs["top_feature"] = h[model.selected(probabilities, batch)]
        return outputs

    compare.check_bags(case, dtype, parameters, evaluate)
