"""The methods, one file or folder each. Adding one: write the file, add its line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mil_bench.base.registry import Registry

if TYPE_CHECKING:
    from mil_bench.contract.method import Method


def _check(name: str, method: object) -> None:
    # Imported when a contributed method is used: listing names must stay free of heavy packages.
    from mil_bench.contract.checked_methods import check_class

    check_class(name, method)


METHODS: Registry[type[Method]] = Registry("method", "mil_bench.methods", check=_check)

_HERE = "mil_bench.methods"
METHODS.add("mean", f"{_HERE}.pooling:MeanPooling", "mean of instance logits")
METHODS.add("max", f"{_HERE}.pooling:MaxPooling", "maximum of instance logits per class")
METHODS.add("abmil", f"{_HERE}.abmil:ABMIL", "attention pooling, plain or gated (Ilse 2018)")
METHODS.add(
    "clam-sb", f"{_HERE}.clam:CLAMSB", "one attention branch + instance clustering (Lu 2021)"
)
METHODS.add(
    "clam-mb", f"{_HERE}.clam:CLAMMB", "an attention branch per class + clustering (Lu 2021)"
)
METHODS.add("transmil", f"{_HERE}.transmil:TransMIL", "Nystrom transformer with PPEG (Shao 2021)")
METHODS.add("rrt", f"{_HERE}.rrt:RRT", "features re-embedded within and across regions (Tang 2024)")
METHODS.add("aem", f"{_HERE}.aem:AEM", "attention pooling, its entropy maximised (Zhang 2025)")
METHODS.add("mhim", f"{_HERE}.mhim:MHIM", "masked hard instances, momentum teacher (Tang 2023)")
METHODS.add("wikg", f"{_HERE}.wikg:WiKG", "a graph of learned edges, attention over it (Li 2024)")
METHODS.add(
    "patch-gcn", f"{_HERE}.patch_gcn:PatchGCN", "convolutions over neighbouring patches (Chen 2021)"
)
METHODS.add("s4mil", f"{_HERE}.s4mil:S4MIL", "state space model over the sequence (Fillioux 2023)")
METHODS.add(
    "probe", f"{_HERE}.probe:Probe", "linear or small network on slide embeddings, bags of one"
)
METHODS.add("hmil", f"{_HERE}.hmil.method:HMIL", "hierarchical class-wise attention (Jin 2025)")
METHODS.add("dsmil", f"{_HERE}.dsmil:DSMIL", "max pooling + attention to its winners (Li 2021)")
METHODS.add("dtfd", f"{_HERE}.dtfd:DTFD", "pseudo-bags, distilled and pooled (Zhang 2022)")
METHODS.add("acmil", f"{_HERE}.acmil:ACMIL", "branches, diversity, masking (Zhang 2024)")
METHODS.add("ilra", f"{_HERE}.ilra:ILRA", "low-rank attention through latents (Xiang 2023)")
METHODS.add(
    "transformer", f"{_HERE}.transformer:Transformer", "plain encoder, class token (Wagner 2023)"
)
METHODS.add("simlp", f"{_HERE}.simlp:SiMLP", "mean of the features and a small network (Li 2025)")
