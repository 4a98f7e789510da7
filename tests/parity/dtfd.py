"""DTFD-MIL: both tiers for the three kinds of distillation, with the permutation of the vectors.

The official gradients of the second tier reach the first (no optimiser uses them there); the case
is therefore checked on features that are not detached.
"""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.dtfd import DTFD, DTFDConfig, PseudoBags

RULES = (
    (r"^attCls\.", "second."),
    (r"^(classifier|attention)\.", r"first.\1."),
    (r"attention_V\.0\.", "value."),
    (r"attention_U\.0\.", "gate."),
    (r"attention_weights\.", "score."),
    (r"classifier\.fc\.", "classifier."),
    (r"^dimReduction\.fc1\.", "project.0."),
    (r"^dimReduction\.resBlocks\.(\d+)\.block\.", r"blocks.\1.inner."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    config = DTFDConfig(
        groups=made["numGroup"],
        instances=made["total_instance"],
        evidence="last",
        width=made["mDim"],
        hidden=made["attention_D"],
        residual_blocks=made["numLayer_Res"],
    )
    classes = [f"class{c}" for c in range(made["num_cls"])]
    model = DTFD(config, made["D"], Taxonomy.flat("golden", classes))
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        return outputs_of(model, inputs, torch.tensor([bag["meta"]["label"]]))

    compare.check_bags(case, dtype, parameters, evaluate)


def outputs_of(model: DTFD, inputs: dict[str, Tensor], label: Tensor) -> dict[str, Tensor]:
    official = model.config
    pseudo = PseudoBags.deal([inputs["perm"].long()], official.groups)
    bags, first = model.first_tier(BagBatch.pack([inputs["x"]]), pseudo)
    repeated = label.expand(len(first.logits))
    found = {
        "chunks": pseudo.order,
        "chunk_sizes": torch.tensor(pseudo.sizes),
        "sub_preds": first.logits,
        "sub_attention": first.attention,
        "cam_prob_last": model.evidence(bags, first),
        "loss_tier1": model.cross_entropy(first.logits, repeated, LEAF),
    }
    for name in ("AFS", "MaxS", "MaxMinS"):
        model.config = official.model_copy(update={"distill": name.lower()})
        distilled, _ = model.distil(bags, first, pseudo)
        logits = model.second(distilled).logits
        found[f"pseudo_{name}"] = distilled.features
        found[f"slide_pred_{name}"] = logits
        found[f"slide_prob_{name}"] = logits.softmax(1)
        found[f"loss_tier2_{name}"] = model.cross_entropy(logits, label, LEAF)
    model.config = official
    return found
