"""FEATHER checkpoints of MIL-Lab, read as initial weights of gated ``abmil``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from golden_io import Case
from parity import compare
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.abmil import ABMIL, ABMILConfig
from mil_bench.training.initial_weights import load_initial_weights, read_initial_weights


def check(case: Case, dtype: torch.dtype) -> None:
    made = case.meta["constructor"]
    config = ABMILConfig(
        width=made["embed_dim"],
        hidden=made["attn_dim"],
        gated=made["gate"],
        dropout=0,
        attention_dropout=0,
    )
    tree = Taxonomy.flat("golden", [str(k) for k in range(made["num_classes"])])
    model = ABMIL(config, made["in_dim"], tree).to(dtype).eval()
    official = {name: torch.from_numpy(value) for name, value in case.params().items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(safetensors.torch.save(official))
        weights = read_initial_weights(path)
    matched = load_initial_weights(weights, model, "abmil")
    assert len(matched.body) == 8
    assert not matched.head  # classes of another training: theirs is put in by hand, for the test
    model.classifier.weight.data.copy_(official["model.classifier.weight"])
    model.classifier.bias.data.copy_(official["model.classifier.bias"])
    ours = dict(model.named_parameters())
    parameters = {original: ours[name] for name, original in weights.named.items()}

    def evaluate(inputs: dict[str, Tensor], bag: compare.Bag) -> Mapping[str, Tensor]:
        x = inputs["x"] if inputs["x"].ndim == 3 else inputs["x"][None]
        valid = inputs["mask"] > 0 if "mask" in inputs else torch.ones(x.shape[:2]) > 0
        labels = torch.as_tensor(bag["meta"]["label"]).reshape(-1)
        bags = [rows[kept] for rows, kept in zip(x, valid, strict=True)]
        batch = BagBatch.pack(bags, labels={LEAF: labels})
        output = model(batch)
        attention = torch.zeros(x.shape[:2], dtype=dtype)
        attention[valid] = output.attention[LEAF].squeeze(1)
        return {
            "logits": output.logits[LEAF],
            "slide_feature": output.extras["bag_features"],
            "attention": attention.unsqueeze(1),
            "loss_ce": model.loss(output, batch, 0.0)["ce"],
        }

    compare.check_bags(case, dtype, parameters, evaluate)
