"""WiKG: neighbours, knowledge-aware attention, aggregations and readouts."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor, nn

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.wikg import WiKG, WiKGConfig

RULES = (
    (r"^_fc1\.0\.", "project.0."),
    (r"^W_head\.", "head."),
    (r"^W_tail\.", "tail."),
    (r"^gate_(.)\.", r"unused.\1."),
    (r"^linear1?\.", "combine.0."),
    (r"^linear2\.", "combine.1."),
    (r"^readout\.gate_nn\.", "scores."),
    (r"^fc\.", "classifier."),
)
READOUT = {"mean": "mean", "max": "max", "attn": "attention"}


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    width = made["dim_hidden"]
    config = WiKGConfig(
        width=width,
        neighbours=made["topk"],
        aggregation=made["agg_type"],
        readout=READOUT[made["pool"]],
    )
    classes = [f"class{c}" for c in range(made["n_classes"])]
    model = WiKG(config, made["dim_in"], Taxonomy.flat("golden", classes))
    shapes = {"U": (width, width // 2), "V": (width, width // 2), "W": (width // 2, width)}
    model.unused = nn.ModuleDict({name: nn.Linear(*shape) for name, shape in shapes.items()})
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        batch = BagBatch.pack([inputs["x"]], labels={LEAF: torch.tensor([bag["meta"]["label"]])})
        output = model(batch)
        head, partners = output.extras["head"], output.extras["partners"]
        tails, counts = output.extras["tail"][partners], torch.ones_like(partners, dtype=torch.bool)
        p = model.edge_weights(head, tails, counts)
        return {
            "logits": output.logits[LEAF],
            "prob": output.logits[LEAF].softmax(1),
            "topk_index": partners,
            "topk_prob": p,
            "ka_prob": model.knowledge_attention(head, tails, p, counts),
            "pooled": output.extras["bag_features"],
            "readout_attention": output.attention[LEAF],
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }

    compare.check_bags(case, dtype, parameters, evaluate)
