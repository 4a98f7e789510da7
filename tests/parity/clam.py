"""CLAM-SB and CLAM-MB with both settings of subtyping, and the smooth SVM loss alone."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Output
from mil_bench.methods.clam import CLAMMB, CLAMSB, CLAMConfig, smooth_top1_svm

Model = CLAMSB | CLAMMB

RULES = (
    (r"^attention_net\.0\.", "project.0."),
    (r"^attention_net\.\d+\.(?:attention_a|module)\.0\.", "attention.value."),
    (r"^attention_net\.\d+\.attention_b\.0\.", "attention.gate."),
    (r"^attention_net\.\d+\.(?:attention_c|module\.[23])\.", "attention.score."),
    (r"^classifiers\.(weight|bias)$", r"classifier.\1"),
)


def check(case: Case, dtype: torch.dtype) -> None:
    if "cls" in case.meta["constructor"]:
        check_model(case, dtype)
    else:
        compare.check_bags(case, dtype, {}, svm)


def svm(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
    meta = bag["meta"]
    losses = smooth_top1_svm(
        inputs["x_scores"], torch.tensor(meta["label"]), meta["alpha"] or 1.0, meta["tau"]
    )
    return {"loss_svm": losses.mean()}


def check_model(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    shapes = {p["name"]: p["shape"] for p in case.meta["params"]}
    width, dim = shapes["attention_net.0.weight"]
    (hidden,) = {shape[0] for name, shape in shapes.items() if name.endswith(VALUE_BIAS)}
    config = CLAMConfig(
        width=width,
        hidden=hidden,
        size=made["size_arg"],
        gated=made["gate"],
        dropout=made["dropout"],
        k_sample=made["k_sample"],
        instance_loss="svm" if "SVM" in made.get("instance_loss_fn", "") else "ce",
    )
    kind = {"CLAM_SB": CLAMSB, "CLAM_MB": CLAMMB}[made["cls"]]
    classes = [f"class{c}" for c in range(made["n_classes"])]
    model = kind(config, dim, Taxonomy.flat("golden", classes))
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        return outputs_of(model, inputs["x"], bag["meta"]["label"])

    compare.check_bags(case, dtype, parameters, evaluate)


VALUE_BIAS = ("attention_a.0.bias", "module.0.bias")


def outputs_of(model: Model, x: Tensor, label: int) -> dict[str, Tensor]:
    batch = BagBatch.pack([x])
    output = model(batch)
    logits = output.logits[LEAF]
    top, bottom = (one[0] for one in model.select(output.extras["scores"].detach(), batch))
    outputs = {
        "logits": logits,
        "prob": logits.softmax(1),
        "y_hat": logits.argmax(1),
        "attention_raw": output.extras["scores"].T,
        "attention": output.attention[LEAF].T,
        "bag_feature": output.extras["bag_features"],
        "top_ids": top.T,
        "bottom_ids": bottom.T,
    }
    for subtyping in (False, True):
        for c in range(model.n_leaves):
            outputs |= losses_of(model, x, output, c, subtyping, is_label=c == label)
    return outputs


def losses_of(
    model: Model, x: Tensor, output: Output, label: int, subtyping: bool, is_label: bool
) -> dict[str, Tensor]:
    """Instance loss for any label; bag loss and total for the bag's own."""
    model.config = model.config.model_copy(update={"subtyping": subtyping})
    terms = model.loss(output, BagBatch.pack([x], labels={LEAF: torch.tensor([label])}), 0.0)
    share = model.config.bag_weight
    suffix = f"sub{int(subtyping)}"
    targets, predictions = pseudo_labels(model, output, label, subtyping)
    found = {
        f"inst_loss_{suffix}_label{label}": terms["instance"] / (1 - share),
        f"inst_targets_{suffix}_label{label}": targets,
        f"inst_preds_{suffix}_label{label}": predictions,
    }
    if is_label:
        found["loss_ce"] = terms["ce"] / share
        found[f"loss_total_{suffix}"] = terms["ce"] + terms["instance"]
    return found


def pseudo_labels(
    model: Model, output: Output, label: int, subtyping: bool
) -> tuple[Tensor, Tensor]:
    """Targets and predictions in the official order: per class, positives before negatives."""
    h = output.extras["features"]
    batch = BagBatch.pack([h])
    found = model.select(output.extras["scores"].detach(), batch)
    top, bottom = (one[0].expand(-1, model.n_leaves) for one in found)
    k = len(top)
    targets, predictions = [], []
    for c, classifier in enumerate(model.instance_classifiers):
        if c == label:
            targets += [1] * k + [0] * k
            predictions.append(classifier(h[torch.cat([top[:, c], bottom[:, c]])]).argmax(1))
        elif subtyping:
            targets += [0] * k
            predictions.append(classifier(h[top[:, c]]).argmax(1))
    return torch.tensor(targets), torch.cat(predictions)
