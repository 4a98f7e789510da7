"""HMIL's paper card: the source, every difference to the released code, the open choices."""

from __future__ import annotations

from mil_bench.method import PaperCard

_DIFFERS = (
    "variant=paper (default) is the paper's model and loss; variant=released presets the options "
    "of the published code, whose numbers it reproduces (golden vectors). That code cannot run as "
    "published, so no result of it is official.",
    "Total: beta (CE_coarse + L_ia + L_ba) + (1 - beta) L_con + CE_leaf with beta = 1 - e/E. "
    "Released: alpha CE_coarse + CE_leaf + L_ba + (1 - alpha) L_con with alpha = 1 - (e/E)^2; "
    "L_ia is computed there and never added (confirmed by the author, issue 4).",
    "L_ba is the negative log of the summed leaf probability. Released: cross entropy that takes "
    "these probabilities for logits; a perfect prediction still costs 0.551 with three classes.",
    "L_con is Khosla's loss at a fixed temperature of 0.1, averaged over anchors; a bag whose "
    "class is alone in the batch adds zero. Released: the temperature runs 1.0 -> 0.1 -> 1.0, "
    "multiplies the loss, and the mean is divided by the batch size again; 1e-6 is added inside "
    "the logarithm.",
    "The leaf branch reads Linear -> ReLU -> Linear of the offline features (D -> 256 -> 256). "
    "Released: D -> 256 -> D -> 256 without an activation between the last two.",
    "Open in the paper, coarse_features=offline: h_c is written as features of the frozen encoder, "
    "h_f as their online re-embedding. Released: embedded.",
    "Open in the paper, classifier=per_class: one logit per class from its own bag vector, as in "
    "CLAM-MB. Released: shared, so that only attention separates classes.",
    "Open in the paper, contrast=true_class: fine bag features of the labelled class. Released: "
    "all_classes, the vectors of all classes of a bag as views of its label.",
    "Open in the paper, alignment_axis=instances: attention rows A_c[k] are compared as maps over "
    "the bag. Released: classes, the cosine of the class profile of every instance.",
    "One attention pass per step (released: three), packed batches, any D, bags of one patch.",
    "Trees of other depths are ours: a branch per level reading a re-embedding of the level above, "
    "alignments between neighbouring levels, levels fading out one after another from the root; "
    "a flat tree keeps CE_leaf + (1 - beta) L_con. Two levels are exactly the paper.",
    "Recipe: Adam 1e-4, no decay, 200 epochs, 64 bags, plateau (factor 0.1, patience 5) as "
    "published. What plateau and checkpoint follow differs between code paths there; here both "
    "follow the trainer's monitor on validation bags.",
)

CARD = PaperCard(
    title="HMIL: Hierarchical Multi-Instance Learning for Fine-Grained Whole Slide Image "
    "Classification",
    year=2025,
    venue="IEEE Transactions on Medical Imaging 44(4):1796-1808",
    link="arXiv:2411.07660",
    code="https://github.com/ChengJin-git/HMIL @ af6f85a",
    differs=_DIFFERS,
)
