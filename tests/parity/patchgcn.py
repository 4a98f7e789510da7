"""Patch-GCN with the edges of the vectors, which the graph of their coordinates must be too."""

from __future__ import annotations

from dataclasses import replace

import torch
from golden_io import Case
from parity import compare
from torch import Tensor, nn

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import batch_edges
from mil_bench.methods.patch_gcn import PatchGCN, PatchGCNConfig

RULES = (
    (r"^fc\.0\.", "project.0."),
    (r"^layers\.0\.norm\.", "unused."),
    (r"^path_phi\.0\.", "mix.0."),
    (r"^path_attention_head\.attention_a\.0\.", "attention.value."),
    (r"^path_attention_head\.attention_b\.0\.", "attention.gate."),
    (r"^path_attention_head\.attention_c\.", "attention.score."),
    (r"^path_rho\.0\.", "merge.0."),
)


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    shapes = {p["name"]: p["shape"] for p in case.meta["params"]}
    width, dim = shapes["fc.0.weight"]
    config = PatchGCNConfig(width=width, layers=made["num_layers"] - 1)
    classes = [f"class{c}" for c in range(made["n_classes"])]
    model = PatchGCN(config, dim, Taxonomy.flat("golden", classes))
    model.unused = nn.LayerNorm(width)
    parameters = compare.load(model, case, RULES, dtype)

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> dict[str, Tensor]:
        edges = inputs["edge_index"].long()
        label = torch.tensor([bag["meta"]["label"]])
        batch = BagBatch.pack([inputs["x"]], labels={LEAF: label})
        if "coords" in inputs:
            ours = batch_edges(inputs["coords"], batch, 8)
            assert {tuple(e) for e in ours.T.tolist()} == {tuple(e) for e in edges.T.tolist()}
        output = model(replace(batch, edges=edges))
        logits, nodes = output.logits[LEAF], output.extras["nodes"]
        hazards = logits.sigmoid()
        return {
            "logits": logits,
            "hazards": hazards,
            "survival": (1 - hazards).cumprod(1),
            "y_hat": logits.argmax(1),
            "attention_raw": output.extras["scores"],
            "attention": output.attention[LEAF],
            "node_mean": nodes.mean(0),
            "node_first": nodes[0],
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }

    compare.check_bags(case, dtype, parameters, evaluate)
