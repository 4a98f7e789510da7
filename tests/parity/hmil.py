"""HMIL's released variant: forward passes, batch losses over epochs, SupCon alone.

``paper_total_e*`` of the vectors is the paper's total over the released components; it is reached
here by configuration alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from golden_io import Case
from parity import compare
from torch import Tensor
from torch.nn import functional as F

from mil_bench.base.taxonomy import COARSE, LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Output
from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.methods.hmil.losses import (
    bag_alignment_scores,
    beta,
    instance_alignment,
    released_supcon,
    released_temperature,
    summed_log_probabilities,
)
from mil_bench.methods.hmil.method import HMIL

RULES = (
    (r"^feature_extractor\.0\.", "net.features.stem.0.0."),
    (r"^feature_extractor\.2\.", "net.features.stem.1."),
    (r"^feature_reducer\.0\.", f"net.features.steps.{LEAF}."),
    (r"^coarse_", f"net.branches.{COARSE}."),
    (r"^fine_", f"net.branches.{LEAF}."),
    (r"attention\.0\.", "attention."),
    (r"attention_a\.0\.", "value."),
    (r"attention_b\.0\.", "gate."),
    (r"attention_c\.", "score."),
    (r"classifier\.", "classifier.linear."),
)
PAPER_TOTAL = {"ia_weight": 1.0, "ba_schedule": "curriculum", "curriculum": "linear"}


def check(case: Case, dtype: torch.dtype) -> None:
    if any(name.startswith("feature_extractor") for name in case.meta["param_order"]):
        check_model(case, dtype)
    else:
        compare.check_bags(case, dtype, {}, evaluate_supcon)


def check_model(case: Case, dtype: torch.dtype) -> None:
    parents = parents_of(case.meta["constructor"])
    model = make(case.meta["constructor"]["size"], parents)
    parameters = compare.load(model, case, RULES, dtype)
    paper = make(case.meta["constructor"]["size"], parents, **PAPER_TOTAL).to(dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> Mapping[str, Tensor]:
        if "epochs" in bag["meta"]:
            return evaluate_losses(model, paper, inputs, bag["meta"])
        return evaluate_forward(model, inputs["x"], bag["meta"]["label"])

    compare.check_bags(case, dtype, parameters, evaluate)


def make(size: list[int], parents: list[int], **options: Any) -> HMIL:
    """The released variant in the sidecar's widths (the third width is unused there too).

    A taxonomy orders its coarse classes by their first leaf, the official mapping need not.
    """
    config = HMILConfig(
        variant="released",
        embed_dim=size[1],
        fine_dim=size[1],
        coarse_attention_dim=size[1],
        fine_attention_dim=size[3],
        **options,
    )
    tree = Taxonomy.from_parents(
        "golden", {f"leaf{i}": f"coarse{p}" for i, p in enumerate(parents)}
    )
    model = HMIL(config, size[0], tree)
    model.hierarchy.parents(LEAF).copy_(torch.tensor(parents))
    return model


def parents_of(made: dict[str, Any]) -> list[int]:
    """Coarse class of every leaf; forward passes without a mapping do not depend on it."""
    n_coarse, n_fine = made["n_classes"]
    if "mapping" not in made:
        return [leaf * n_coarse // n_fine for leaf in range(n_fine)]
    mapping = dict(map(int, pair.split(":")) for pair in made["mapping"].split(","))
    return [mapping[leaf] for leaf in range(n_fine)]


def evaluate_forward(model: HMIL, x: Tensor, label: int) -> Mapping[str, Tensor]:
    batch = BagBatch.pack([x], labels={LEAF: torch.tensor([label])})
    output = model(batch)
    features, heads = model.net.features(x), model.net(batch)
    outputs = {}
    for level, name in ((COARSE, "coarse"), (LEAF, "fine")):
        logits = output.logits[level]
        outputs[f"attn_{name}_raw"] = model.net.branches[level].attention(features[level]).T
        outputs[f"attn_{name}"] = output.attention[level].T
        outputs[f"logits_{name}"] = logits
        outputs[f"prob_{name}"] = logits.softmax(1)
        outputs[f"bag_{name}"] = heads[level].bags[0]
    outputs["bag_fine_normalized"] = F.normalize(output.extras["bags"][0], dim=-1)
    terms = model.loss(output, batch, 0.0)
    return outputs | {"loss_ce_coarse": terms["ce_coarse"], "loss_ce_fine": terms["ce_leaf"]}


def evaluate_losses(
    model: HMIL, paper: HMIL, inputs: dict[str, Tensor], meta: dict[str, Any]
) -> Mapping[str, Tensor]:
    labels = torch.tensor(meta["label"])
    batch = BagBatch.pack([inputs[f"x{b}"] for b in range(len(labels))], labels={LEAF: labels})
    assert model.hierarchy.targets(labels)[COARSE].tolist() == meta["label_coarse"]
    output = model(batch)
    outputs = components(model, output, batch)
    for epoch in meta["epochs"]:
        progress = epoch / meta["num_epochs"]
        tau = released_temperature(progress)
        contrast = released_supcon(outputs["features"], labels, tau) / len(labels)
        outputs[f"tau_e{epoch}"] = torch.tensor(tau, dtype=torch.float64)
        outputs[f"alpha_e{epoch}"] = torch.tensor(beta("quadratic", progress), dtype=torch.float64)
        outputs[f"loss_contrastive_e{epoch}"] = contrast
        outputs[f"loss_total_e{epoch}"] = total(model.loss(output, batch, progress))
        outputs[f"loss_paper_total_e{epoch}"] = total(paper.loss(output, batch, progress))
    return outputs


def components(model: HMIL, output: Output, batch: BagBatch) -> dict[str, Tensor]:
    """The losses that do not depend on the epoch, and what they are made of."""
    leaf = output.logits[LEAF]
    membership = model.hierarchy.membership(LEAF, leaf.dtype)
    targets = model.hierarchy.targets(batch.labels[LEAF])
    scores = bag_alignment_scores(leaf, membership, "double_softmax")
    upper, lower = output.attention[COARSE], output.attention[LEAF]
    return {
        "logits_coarse": output.logits[COARSE],
        "logits_fine": leaf,
        "features": F.normalize(output.extras["bags"], dim=-1),
        "fine_to_coarse_prob": summed_log_probabilities(leaf, membership).exp(),
        "loss_ce_coarse": F.cross_entropy(output.logits[COARSE], targets[COARSE]),
        "loss_ce_fine": F.cross_entropy(leaf, targets[LEAF]),
        "loss_regularization": F.cross_entropy(scores, targets[COARSE]),
        "loss_attention": instance_alignment(upper, lower, membership, batch.offsets, "classes"),
    }


def total(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def evaluate_supcon(inputs: dict[str, Tensor], bag: compare.Bag) -> Mapping[str, Tensor]:
    features = F.normalize(inputs["x_feat"], dim=-1)
    labels = torch.tensor(bag["meta"]["label"])
    outputs = {"feat_norm": features}
    for name in bag["meta"]["losses"]:
        if name == "supcon_one":
            loss = released_supcon(features, labels, 0.5, anchors="one")
        elif name == "simclr":
            loss = released_supcon(features, None, 0.5)
        else:
            loss = released_supcon(features, labels, float(name.removeprefix("supcon_t")))
        outputs[f"loss_{name}"] = loss
    return outputs
