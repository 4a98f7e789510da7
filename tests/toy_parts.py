"""A toy method with components, a variant, a control and twins; importing it registers it."""

from toy_grid import Plain

from mil_bench.contract.method import Ablations, Component, Switch
from mil_bench.methods import METHODS


@METHODS.register("parts")
class Parts(Plain):
    """Plain, taken apart."""

    ablations = Ablations(
        components={
            "bias": Component("bias of the heads", {"bias": False}),
            "dropout": Component("dropout & noise", {"dropout": 0.0}),
            "half": Component("half of the body", {"width": 4}, within="dropout"),
        },
        variants={"wide": Switch("a wide body", {"width": 9})},
        controls={"narrow": Switch("a narrow body", {"width": 1}, levels=True)},
        twins=("tiny",),
    )
