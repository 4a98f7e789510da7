"""ILRA-MIL with rank one and norms, and with rank four and none."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.ilra import ILRA, ILRAConfig

RULES = (
    (r"^gab_blocks\.", "layers."),
    (r"\.project_forward\.", ".inward."),
    (r"\.project_backward\.", ".outward."),
    (r"^pooling\.S$", "seed"),
    (r"^pooling\.mha\.", "pooling."),
    (r"\.multihead_attn\.in_proj_", ".inner."),
    (r"\.multihead_attn\.out_proj\.", ".out."),
    (r"\.fc_q\.", ".query."),
    (r"\.fc_k\.", ".key."),
    (r"\.fc_v\.", ".value."),
    (r"\.fc_o\.", ".feed."),
    (r"\.gate\.0\.", ".gate."),
    (r"\.ln(\d)\.", r".norm\1."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    config = ILRAConfig(
        rank=made["topk"],
        layers=made["num_layers"],
        width=made["hidden_feat"],
        heads=made["num_heads"],
        norm=made["ln"],
    )
    classes = [f"class{c}" for c in range(made["n_classes"])]
    model = ILRA(config, made["feat_dim"], Taxonomy.flat("golden", classes))
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        label = torch.tensor([bag["meta"]["label"]])
        batch = BagBatch.pack([inputs["x"]], labels={LEAF: label})
        output = model(batch)
        logits, first = output.logits[LEAF], model.layers[0]
        _, collecting = first.inward.collect(first.latent[0], inputs["x"], batch)
        return {
            "logits": logits,
            "prob": logits.softmax(1),
            "y_hat": logits.argmax(1),
            "pool_attention": output.attention[LEAF],
            "fwd_attention_0": collecting.mean(2).T,
            "feat": output.extras["bag_features"],
            "inst_mean": output.extras["instances"].mean(0),
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }

    compare.check_bags(case, dtype, parameters, evaluate)
