"""DSMIL with one output and with one per class, all queries and values, three losses."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.dsmil import DSMIL, DSMILConfig

RULES = (
    (r"^i_classifier\.fc\.0\.", "instance."),
    (r"^b_classifier\.q\.(weight|bias)$", r"query.0.\1"),
    (r"^b_classifier\.q\.", "query."),
    (r"^b_classifier\.v\.1\.", "value.0."),
    (r"^b_classifier\.fcc\.", "scorer."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    outputs = made["output_class"]
    config = DSMILConfig(
        query_dim=made.get("query_dim", 128),
        query="mlp" if made["nonlinear"] else "linear",
        value="relu" if made["passing_v"] else "identity",
        negative_class=outputs == 1,
        init="default",
    )
    classes = [f"class{c}" for c in range(outputs + config.negative_class)]
    model = DSMIL(config, made["input_size"], Taxonomy.flat("golden", classes))
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        return outputs_of(model, inputs["x"], bag["meta"]["label"])

    compare.check_bags(case, dtype, parameters, evaluate)


def outputs_of(model: DSMIL, x: Tensor, label: int) -> dict[str, Tensor]:
    """``label`` counts outputs; with a negative class leaf 0 lies before them."""
    batch = BagBatch.pack([x])
    output = model(batch)
    extras = output.extras
    bag, top = extras["bag"], extras["max"]
    negative = torch.zeros_like(bag)
    found = {
        "instance_logits": extras["instance"],
        "bag_logits": bag,
        "attention": output.attention[LEAF],
        "attention_raw": extras["scores"],
        "bag_embedding": extras["bag_features"],
        "max_logits": top,
        "critical": extras["critical"],
        "q_max": model.query(x[extras["critical"][0]]),
        "score_sigmoid": bag.sigmoid(),
        "score_average": bag.sigmoid() + top.sigmoid(),
        "loss_bce": loss_of(model, output, label + model.config.negative_class),
        "loss_bce_negative": torch.nn.functional.binary_cross_entropy_with_logits(
            torch.stack([bag, top]), torch.stack([negative, negative])
        ),
    }
    if model.config.negative_class:
        found["loss_bce_negative"] = loss_of(model, output, 0)
    else:
        official = model.config
        model.config = official.model_copy(update={"loss": "ce"})
        found["loss_ce"] = loss_of(model, output, label)
        model.config = official
    return found


def loss_of(model: DSMIL, output: object, leaf: int) -> Tensor:
    batch = BagBatch.pack([torch.zeros(1, model.dim)], labels={LEAF: torch.tensor([leaf])})
    terms = model.loss(output, batch, 0.0)
    return terms["bag"] + terms["max"]
