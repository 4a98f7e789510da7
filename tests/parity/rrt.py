"""RRT-MIL: region and cross-region attention, pooling."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor, nn

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.rrt import RRT, RRTConfig, side_of

RULES = (
    (r"^patch_to_emb\.0\.", "project.0."),
    (r"^predictor\.", "classifier."),
    (r"^pool_fn\.attention\.(?:attention\.0|attention_a\.0)\.", "scores.value."),
    (r"^pool_fn\.attention\.attention_b\.0\.", "scores.gate."),
    (r"^pool_fn\.attention\.(?:attention\.2|attention_c)\.", "scores.score."),
    (r"\.attn\.pe\.bias$", ".unused"),
    (r"\.attn\.pe\.", ".epeg."),
    (r"\.attn\.proj\.", ".out."),
    (r"\.attn\.phi", ".phi"),
    (r"\.attn(\.attn)?\.", ".attention."),
    (r"\.attn\.unused", ".attention.unused"),
    (r"^online_encoder\.", ""),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    shapes = {p["name"]: p["shape"] for p in case.meta["params"]}
    width, dim = shapes["patch_to_emb.0.weight"]
    config = RRTConfig(
        width=width,
        region_layers=made.get("n_layers", 2) - 1,
        regions=made.get("region_num", 8),
        epeg=made["epeg_k"],
        representatives=made["crmsa_k"],
        cross_heads=made.get("crmsa_heads", 8),
        routing_mlp=made.get("crmsa_mlp", False),
        shortcut=made.get("all_shortcut", False),
        activation=made["da_act"],
        gated=made.get("da_gated", False),
    )
    classes = [f"class{c}" for c in range(made["n_classes"])]
    model = RRT(config, dim, Taxonomy.flat("golden", classes))
    cross = f"layers.{len(model.layers) - 1}"
    for layer in model.layers[:-1]:  # the bias of EPEG, which cancels
        layer.attention.register_parameter("unused", nn.Parameter(torch.zeros(config.heads)))
    rules = (*RULES, (r"^cr_msa\.", f"{cross}."))
    parameters = compare.load(model, case, rules, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        x = inputs["x"]
        batch = BagBatch.pack([x], labels={LEAF: torch.tensor([bag["meta"]["label"]])})
        output = model(batch)
        h, side = output.extras["features"], side_of(len(x), config.regions)
        return {
            "logits": output.logits[LEAF],
            "prob": output.logits[LEAF].softmax(1),
            "attention": output.attention[LEAF],
            "attention_raw": output.extras["scores"],
            "enc_first": h[0],
            "enc_last": h[-1],
            "enc_mean": h.mean(0),
            "rmsa_mean": model.layers[0](model.project(x), [len(x)]).mean(0),
            "grid": torch.tensor([side, side * side - len(x)]),
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }

    compare.check_bags(case, dtype, parameters, evaluate)
