"""Fixed definitions of runs."""

from mil_bench.contract.spec import ExternalSpec, RunSpec, TrainerConfig, TransferredSpec

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

_DATA = {
    name: getattr(SPEC, name)
    for name in (
        "dataset",
        "kind",
        "labels_digest",
        "tree",
        "split",
        "split_digest",
        "fold",
        "seed",
    )
}
EXTERNAL = ExternalSpec(method="theirs", file_digest="dddd", **_DATA)
TRANSFERRED = TransferredSpec(
    method="plain",
    method_version="1",
    encoder="uni",
    source=SPEC.model_copy(update={"dataset": "other"}),
    **_DATA,
)
