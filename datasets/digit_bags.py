"""``digit-bags``: bags of real handwritten digits in seven classes, inside the package.

The images are the 1,797 scans of 8 x 8 pixels that scikit-learn ships (``load_digits``; Alpaydin
and Kaynak 1998, UCI "Optical Recognition of Handwritten Digits"). A "slide" is a bag of 30-200
images and a "patch" one image, 64 grey values in [0, 1]. The shape is that of BRACS: 3 coarse and
7 leaf classes in its proportions, several slides per patient, rare witnesses.

**The rule.** Six digits are witnesses and ranked: four < seven < one < eight < three < nine. The
label of a bag is the highest-ranked witness in it, ``none`` if there is none: the most severe
finding decides, as in pathology. ``0 2 5 6`` are background.

**Why it is hard.** The two witnesses of a coarse class look alike (1 and 8; 3 and 9). The lower one
makes up 3-7 % of the bag and occurs in both classes; the upper one, which separates them, only
1-4 % and at least one image. Bags also hold witnesses of lower coarse classes (each with 30 %
chance, 2-5 %), and background differs from patient to patient. So the coarse class is easy to see
and the leaf is not, and averaging a bag hides both.

**No leaks.** The images are dealt into five pools, stratified by digit, and every bag draws from
one pool. Fold ``k`` of the official split tests pool ``k``, validates on pool ``k + 1`` and trains
on the other three. No image is in two sets. ``group_id`` is the pool, which keeps images apart in
every grouped split.

**The same everywhere.** All choices are integers from the raw stream of PCG64, which NumPy
guarantees across versions and platforms; sizes come from a table of log-normal quantiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from mil_bench.bags.labels.cohort import choose_tree
from mil_bench.bags.labels.instances import BACKGROUND
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import UnknownNameError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetCard, DatasetOptions
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Fold, Split
from mil_bench.contract.store import Tiling

TREE = Taxonomy.from_tree(
    "digits-3",
    {"low": ["none", "four", "seven"], "middle": ["one", "eight"], "high": ["three", "nine"]},
    ordered=True,
    titles={
        "none": "background digits only",
        "four": "4 is the highest witness",
        "seven": "7 is the highest witness",
        "one": "1 is the highest witness",
        "eight": "8 is the highest witness",
        "three": "3 is the highest witness",
        "nine": "9 is the highest witness",
        "low": "no witness, 4 or 7",
        "middle": "1 or 8",
        "high": "3 or 9",
    },
)
WITNESS = {"four": 4, "seven": 7, "one": 1, "eight": 8, "three": 3, "nine": 9}  # by rank
BACKGROUND_DIGITS = (0, 2, 5, 6)
# 350 bags in the proportions of BRACS (44, 147, 74, 41, 48, 61, 132 of 547), leaves in order.
BAGS_PER_CLASS = (28, 94, 47, 26, 31, 39, 85)
# Quantiles 2.5 %, 7.5 %, ... 97.5 % of a log-normal with median 70, cut to 30-200.
BAG_SIZES = (30, 34, 39, 43, 47, 51, 55, 59, 63, 68, 73, 78, 84, 91, 99, 108, 120, 137, 164, 200)
ENCODER = "pixels"
SIDE = 8  # of an image, in pixels
N_POOLS = 5
SEED = 20250


class DigitBags(DatasetAdapter):
    """Bags of handwritten digits: the embedded dataset, no files needed."""

    card = DatasetCard(
        name="digit-bags",
        title="Bags of handwritten digits in 3 coarse and 7 leaf classes",
        source=(
            "shipped with scikit-learn (load_digits); Alpaydin and Kaynak 1998, UCI Machine "
            "Learning Repository, doi 10.24432/C50P49"
        ),
        licence="CC BY 4.0 (UCI)",
        files="nothing",
        trees={"digits-3": TREE, "flat": Taxonomy.flat("flat", TREE.leaves, ordered=True)},
        default_tree="digits-3",
        default_split="official",
        kind="embedded",
        overrides={
            # One recipe for all: those of whole slides are far too slow to learn here. Exceptions
            # (fold 0): at 2e-3 TransMIL overfits its training bags (loss .01, validation at
            # chance), at 5e-4 its validation loss falls to 1.0; SiMLP starts late (AUC on
            # validation bags .53 after 21 epochs, .68 after 200).
            "trainer": {
                "optimizer": "adam",
                "lr": 2e-3,
                "weight_decay": 1e-4,
                "epochs": 80,
                "batch_size": 16,
                "accumulate": 1,
                "schedule": "constant",
                "class_weighting": "balanced",
                "sampling": "shuffle",
                "patience": 20,
                "min_epochs": 40,
            },
            # Hidden widths a quarter of the papers', for inputs of 64 numbers instead of 1,024.
            "methods": {
                "mean": {"width": 128},
                "max": {"width": 128},
                "abmil": {"width": 128, "hidden": 64},
                "clam-sb": {"width": 128},
                "clam-mb": {"width": 128},
                "transmil": {"dim": 64, "heads": 4, "landmarks": 8, "trainer": {"lr": 5e-4}},
                "aem": {"width": 128, "hidden": 64},
                "mhim": {"width": 128, "hidden": 32},
                "wikg": {"width": 128},
                "patch-gcn": {"width": 32, "trainer": {"lr": 5e-4}},
                "s4mil": {"width": 128},
                "rrt": {"width": 128, "regions": 4, "trainer": {"lr": 5e-4}},
                "dsmil": {"query_dim": 32},
                "dtfd": {"width": 128, "hidden": 32},
                "acmil": {"width": 128, "hidden": 32},
                "ilra": {"width": 64},
                "transformer": {"dim": 128, "hidden": 128},
                "simlp": {"width": 128, "trainer": {"epochs": 200, "min_epochs": 200}},
                "hmil": {"embed_dim": 128, "fine_dim": 128, "coarse_attention_dim": 128},
            },
        },
    )

    def load(self, options: DatasetOptions) -> Dataset:
        """Make the bags; of the options only the tree counts.

        Raises ``UnknownNameError`` for another encoder than the pixels.
        """
        if options.encoder not in (None, ENCODER):
            raise UnknownNameError("encoder", options.encoder, [ENCODER], of="digit-bags")
        digits = load_digits()
        bags = list(draw_bags(digits.target))
        pixels = (digits.data / 16).astype(np.float32)  # grey values are 0 to 16
        ids = [bag.slide_id for bag in bags]
        store = store_of_arrays(
            ENCODER,
            {bag.slide_id: pixels[bag.images] for bag in bags},
            {bag.slide_id: _grid(len(bag.images)) for bag in bags},
            Tiling(patch_size=SIDE),
        )
        pools = [bag.pool for bag in bags]
        return Dataset(
            card=self.card,
            kind=self.card.kind,
            manifest=Manifest.build(
                ids, [b.label for b in bags], [b.patient for b in bags], [f"pool{p}" for p in pools]
            ),
            taxonomy=choose_tree(self.card, options.tree),
            store=store,
            official=_split(ids, pools),
            instance_labels={b.slide_id: instance_labels(digits.target[b.images]) for b in bags},
            picture_shape=(SIDE, SIDE),
        )


@dataclass(frozen=True)
class DigitBag:
    """One bag: ``images`` ``(N,)`` are rows of ``load_digits``."""

    slide_id: str
    patient: str
    pool: int
    label: str
    images: NDArray[np.int64]


def instance_labels(digits: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the class that each digit is a witness of, or ``BACKGROUND``."""
    names = {digit: leaf for leaf, digit in WITNESS.items()}
    return tuple(names.get(int(digit), BACKGROUND) for digit in digits)


def draw_bags(target: NDArray[np.int64]) -> Iterator[DigitBag]:
    """Draw all bags by pool and patient. ``target`` is the digit of every image."""
    dice = _Dice(SEED)
    pool_of_image = _deal_images(dice, target)
    labels = np.repeat(TREE.leaves, BAGS_PER_CLASS)
    pool_of_label = np.arange(len(labels)) % N_POOLS
    slide = patient = 0
    for pool in range(N_POOLS):
        # Stock: images by digit, of this pool alone.
        stock = {d: np.flatnonzero((target == d) & (pool_of_image == pool)) for d in range(10)}
        queue = labels[pool_of_label == pool]
        queue = queue[dice.order(len(queue))].tolist()
        while queue:
            patient += 1
            # Weights 1 to 5, so that patients differ in background.
            taste = np.repeat(BACKGROUND_DIGITS, [dice.between(1, 5) for _ in BACKGROUND_DIGITS])
            slides = dice.between(1, 5)
            for label in queue[:slides]:
                slide += 1
                images = _pick(dice, stock, _draw_digits(dice, label, taste))
                yield DigitBag(f"bag{slide:03}", f"patient{patient:03}", pool, label, images)
            del queue[:slides]


def _draw_digits(dice: _Dice, label: str, taste: NDArray[np.int64]) -> NDArray[np.int64]:
    """Digits of one bag: witnesses by the rule, then background in the patient's ``taste``."""
    size = BAG_SIZES[dice.between(0, len(BAG_SIZES) - 1)]
    coarse = dict(zip(TREE.leaves, TREE.ancestor_index("coarse"), strict=True))
    digits: list[int] = []
    for leaf, digit in WITNESS.items():
        lower = leaf in ("four", "one", "three")  # the common witness of its coarse class
        if leaf == label:
            low, high = (3, 7) if lower else (1, 4)
        elif TREE.index(leaf) > TREE.index(label):
            # A higher witness than the label would change the label.
            break
        elif coarse[leaf] == coarse[label]:
            low, high = 3, 7
        elif dice.between(1, 100) <= 30:
            low, high = 2, 5
        else:
            continue
        # At least one image, also in small bags.
        digits += [digit] * max(1, size * dice.between(low, high) // 100)
    background = [dice.between(0, len(taste) - 1) for _ in range(size - len(digits))]
    return np.array([*digits, *taste[background]])


def _pick(
    dice: _Dice, stock: dict[int, NDArray[np.int64]], digits: NDArray[np.int64]
) -> NDArray[np.int64]:
    """An image for every digit, in random order; none twice before all of its digit are used."""
    # (10,) lists: one per digit
    picked = [stock[d][dice.order(len(stock[d]), int((digits == d).sum()))] for d in range(10)]
    images = np.concatenate(picked)
    return images[dice.order(len(images))]


def _deal_images(dice: _Dice, target: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(1797,)`` pool of every image; each digit is spread evenly over the pools."""
    pools = np.empty(len(target), dtype=np.int64)
    for digit in range(10):
        rows = np.flatnonzero(target == digit)
        pools[rows[dice.order(len(rows))]] = np.arange(len(rows)) % N_POOLS
    return pools


def _split(ids: list[str], pools: list[int]) -> Split:
    def inside(*numbers: int) -> tuple[str, ...]:
        return tuple(s for s, p in zip(ids, pools, strict=True) if p in numbers)

    folds = []
    for test in range(N_POOLS):
        val = (test + 1) % N_POOLS
        train = [p for p in range(N_POOLS) if p not in (test, val)]
        folds.append(Fold(inside(*train), inside(val), inside(test)))
    return Split("official", "kfold", tuple(folds))


def _grid(n: int) -> NDArray[np.float64]:
    """``(n, 2)`` top-left corners of 8-pixel tiles on a square grid, row by row."""
    side = int(np.ceil(np.sqrt(n)))
    y, x = np.divmod(np.arange(n), side)
    return np.stack([x, y], axis=1) * float(SIDE)


class _Dice:
    """Integers from the raw stream of PCG64 (the modulo bias of 64 bits is below 1e-17)."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def between(self, low: int, high: int) -> int:
        """Draw one of ``low..high``, both included."""
        return low + int(self._bits.random_raw()) % (high - low + 1)

    def order(self, n: int, length: int | None = None) -> NDArray[np.int64]:
        """Draw a permutation of ``0..n-1``, cut or repeated to ``length``."""
        length = n if length is None else length  # repeated only if a bag needs more than there are
        rounds = -(-length // n)
        # Sorting random keys: numpy's own shuffle may change between versions.
        orders = [np.argsort(self._bits.random_raw(n), kind="stable") for _ in range(rounds)]
        return np.concatenate([np.empty(0, dtype=np.int64), *orders])[:length].astype(np.int64)
