"""A fixed run definition."""

from mil_bench.contract.spec import RunSpec, TrainerConfig

SPEC = RunSpec(
    dataset="toy",
    kind="embedded",
    labels_digest="aaaa",
    tree={"name": "toy", "leaves": ["a", "b"]},
    split="kfold-3",
    split_digest="bbbb",
    fold=1,
    encoder="uni",
    dim=8,
    features_digest="cccc",
    method="plain",
    method_version="1",
    method_config={"width": 5},
    trainer=TrainerConfig(),
    seed=2,
)
