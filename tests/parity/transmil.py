"""TransMIL under both Nystrom releases, Nystrom attention alone, and Lookahead(RAdam)."""

from __future__ import annotations

import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.spec import TrainerConfig
from mil_bench.methods.transmil import AttentionLayer, TransMIL, TransMILConfig
from mil_bench.nn.nystrom import NystromAttention
from mil_bench.nn.nystrom_padded import PaddedNystromAttention
from mil_bench.training.optimizers import make_optimizer

NYSTROM_RULES = (
    (r"\bto_qkv\.", "qkv."),
    (r"\bto_out\.0\.", "out."),
    (r"\bres_conv\.", "residual."),
)
RULES = (
    *NYSTROM_RULES,
    (r"^_fc1\.0\.", "project.0."),
    (r"^_fc2\.", "classifier."),
    (r"^cls_token$", "token"),
    (r"^(layer\d)\.attn\.", r"\1.attention."),
    (r"^pos_layer\.proj\.", "ppeg.conv7."),
    (r"^pos_layer\.proj1\.", "ppeg.conv5."),
    (r"^pos_layer\.proj2\.", "ppeg.conv3."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    if "constructor" not in case.meta:
        check_optimizer(case, dtype)
    elif "num_landmarks" in case.meta["constructor"]:
        check_attention(case, dtype)
    else:
        check_model(case, dtype)


def check_model(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    shapes = {p["name"]: p["shape"] for p in case.meta["params"]}
    width, dim = shapes["_fc1.0.weight"]
    assert made["heads"] * made["dim_head"] == width
    config = TransMILConfig(
        dim=width,
        heads=made["heads"],
        landmarks=made["landmarks"],
        nystrom=made["nystrom_attention"],
    )
    classes = [f"class{c}" for c in range(made["n_classes"])]
    model = TransMIL(config, dim, Taxonomy.flat("golden", classes))
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        x = inputs["x"]
        batch = BagBatch.pack([x], labels={LEAF: torch.tensor([bag["meta"]["label"]])})
        output = model(batch)
        logits = output.logits[LEAF]
        sequence, sizes = model.sequences([model.project(x)])
        h1 = model.layer1(sequence, sizes)
        ppeg = model.ppeg(h1, sizes)
        n, m = len(sequence), made["landmarks"]
        group = -(-n // m)
        return {
            "logits": logits,
            "prob": logits.softmax(1),
            "y_hat": logits.argmax(1),
            "h1_cls": h1[0],
            "h1_mean": h1.mean(0),
            "h1_last": h1[-1],
            "ppeg_cls": ppeg[0],
            "ppeg_mean": ppeg.mean(0),
            "ppeg_last": ppeg[-1],
            "h2_cls": model.layer2.class_tokens(ppeg, sizes)[0][0],
            "cls_attn_l1": class_attention(model.layer1, sequence),
            "cls_attn_l2": class_attention(model.layer2, ppeg),
            "cls_attn_patch_l2": output.attention[LEAF],
            "padded": torch.tensor([n, group * m, m, group]),
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }

    compare.check_bags(case, dtype, parameters, evaluate)


def class_attention(layer: AttentionLayer, x: Tensor) -> Tensor:
    """``(heads, padded length)``: the class token's row of ``F1 Z F3``."""
    f1, inverse, f3, _ = padded(layer.attention).padded_factors(layer.norm(x))
    return (f1[:, [-len(x)]] @ inverse @ f3)[:, 0]


def padded(module: NystromAttention) -> PaddedNystromAttention:
    """The literal form on the same parameters."""
    dim, (kernel, _) = module.out.out_features, module.residual.kernel_size
    twin = PaddedNystromAttention(dim, module.heads, module.landmarks, module.iterations, kernel)
    twin.qkv, twin.out, twin.residual = module.qkv, module.out, module.residual
    return twin


def check_attention(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    assert made["residual"]
    assert made["heads"] * made["dim_head"] == made["dim"]
    module = NystromAttention(
        made["dim"], made["heads"], made["num_landmarks"], made["pinv_iterations"], made["k"]
    )
    parameters = compare.load(module, case, NYSTROM_RULES, dtype)
    literal = padded(module)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        x, mask = inputs["x"], inputs.get("mask")
        out = module(x, [len(x)]) if mask is None else literal.sequence(x, mask)
        factors = literal.padded_factors(x, mask)
        return {
            "out": out,
            "attn1": factors.f1,
            "attn2_pinv": factors.inverse,
            "attn3": factors.f3,
            "loss_sumsq": out.square().mean(),
        }

    compare.check_bags(case, dtype, parameters, evaluate)


class Toy(torch.nn.Module):
    """The scalar function of the optimiser case; ``b`` is called a bias so that it is not decayed.

    ``w`` is a matrix of one column, since one-dimensional tensors are never decayed.
    """

    def __init__(self, w: Tensor, b: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(w[:, None]), torch.nn.Parameter(b)


def check_optimizer(case: Case, dtype: torch.dtype) -> None:
    w0, b0, target = (torch.from_numpy(case[key]).to(dtype) for key in ("w0", "b0", "target"))
    toy = Toy(w0, b0)
    config = TrainerConfig(
        optimizer="lookahead_radam",
        lr=case.meta["lr"],
        weight_decay=case.meta["weight_decay"]["w"],
    )
    assert case.meta["weight_decay"]["b"] == 0
    optimizer = make_optimizer(toy, config)
    share = compare.TIGHT if dtype == torch.float64 else 1e-5
    for step in range(case.meta["steps"]):
        w, b = toy.weight[:, 0], toy.bias
        loss = ((w - target) ** 2).sum() + 0.1 * (w**3).sum() + 0.5 * (b**2).sum()
        loss = loss + 0.05 * b.sum() * w.sum()
        optimizer.zero_grad()
        loss.backward()
        where = f"lookahead_radam step {step} ({dtype})"
        compare.close(loss.item(), case["loss"][step], share, 0, where)
        optimizer.step()
        compare.close(toy.weight[:, 0].detach(), case["w_traj"][step], share, share, where)
        compare.close(toy.bias.detach(), case["b_traj"][step], share, share, where)
