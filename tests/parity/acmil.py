"""ACMIL with gated and with multi-head attention, and with all of the top instances masked."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor, nn

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.acmil import ACMIL, ACMILConfig

RULES = (
    (r"^dimreduction\.fc1\.", "project.0."),
    (r"^attention\.attention_V\.0\.", "attention.net.value."),
    (r"^attention\.attention_U\.0\.", "attention.net.gate."),
    (r"^attention\.attention_weights\.", "attention.net.score."),
    (r"^q$", "attention.queries"),
    (r"^sub_attention\.(\d+)\.q_proj\.", r"attention.keys.\1.query."),
    (r"^sub_attention\.(\d+)\.k_proj\.", r"attention.keys.\1.key."),
    (r"^sub_attention\.(\d+)\.", r"attention.values.\1."),
    (r"^bag_attention\.", "attention.bag."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
    (r"\.layer_norm\.", ".norm."),
    (r"^classifier\.(\d+)\.fc\.", r"branch_classifiers.\1."),
    (r"^Slide_classifier\.fc\.", "classifier."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    gated = made["cls"] == "ACMIL_GA"
    config = ACMILConfig(
        form="gated" if gated else "multihead",
        branches=made["n_token"],
        mask_top=made.get("n_masked_patch", 10),
        mask_share=made.get("mask_drop", 0.6),
        width=made["D_inner"],
        hidden=made.get("D", 128),
        heads=made.get("heads", 8),
    )
    classes = [f"class{c}" for c in range(made["n_class"])]
    model = ACMIL(config, made["D_feat"], Taxonomy.flat("golden", classes))
    if config.branches == 1:  # official, and never trained
        model.branch_classifiers.append(nn.Linear(config.width, made["n_class"]))
    parameters = compare.load(model, case, RULES, dtype)
    model.train(case.meta["mode"] == "train")

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        return outputs_of(model, inputs["x"], torch.tensor([bag["meta"]["label"]]))

    compare.check_bags(case, dtype, parameters, evaluate)


def outputs_of(model: ACMIL, x: Tensor, label: Tensor) -> dict[str, Tensor]:
    batch = BagBatch.pack([x], labels={LEAF: label})
    output = model(batch)
    logits = output.logits[LEAF]
    terms = model.loss(output, batch, 0.0)
    by_head = (-1, model.config.branches, output.extras["scores"].shape[1] // model.config.branches)
    scores = output.extras["scores"].view(by_head).permute(2, 1, 0)  # (heads, branches, N)
    bag = output.extras["attention"].view(by_head).mean(1).T
    found = {
        "sub_logits": output.extras["branches"],
        "logits": logits,
        "prob": logits.softmax(1),
        "attention_raw": scores,
        "bag_attention": bag,
        "loss_loss1": terms["bag"],
        "loss_total": sum(terms.values()),
    }
    if "branches" in terms:
        found |= {"loss_loss0": terms["branches"], "loss_diff": terms["diversity"]}
    return found
