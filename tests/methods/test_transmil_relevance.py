"""TransMIL's relevance of patches, constructed so that the highest score is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.transmil import TransMIL, TransMILConfig

DIM = 8
TREE = Taxonomy.flat("two", ["a", "b"])
TOKEN, WITNESS = torch.eye(DIM)[0], torch.eye(DIM)[1]


def looks_for_witnesses(**options: object) -> TransMIL:
    """Projection, first layer and PPEG change nothing; the class token asks for witnesses."""
    config = TransMILConfig(dim=DIM, heads=1, dropout=0.0, **options)
    model = TransMIL(config, DIM, TREE).eval()
    for weights in (*model.layer1.attention.out.parameters(), *model.ppeg.parameters()):
        weights.data.zero_()
    for linear in (m for m in model.project.modules() if isinstance(m, torch.nn.Linear)):
        linear.weight.data.copy_(torch.eye(DIM))
        linear.bias.data.zero_()
    model.token.data.copy_(TOKEN)
    to_q, to_k, _ = model.layer2.attention.qkv.weight.data.zero_().chunk(3)
    to_q[0] = 4 * TOKEN
    to_k[0] = 4 * WITNESS
    return model


def bag(size: int, witness: int) -> Tensor:
    """Ordinary patches differ from the class token and from the witness."""
    patches = torch.eye(DIM)[2:].repeat(size, 1)[:size].clone()
    patches[witness] = WITNESS
    return patches


@pytest.mark.parametrize("landmarks", [4, 64], ids=["of several rows", "a row each"])
def test_the_witness_has_the_highest_score_wherever_it_stands(landmarks):
    """Sizes with and without padding and repeated rows, together in one batch."""
    model = looks_for_witnesses(landmarks=landmarks)
    places = [(n, w) for n in (1, 2, 5, 9, 15, 16, 30) for w in {0, n // 3, n - 1}]
    batch = BagBatch.pack([bag(*place) for place in places])
    relevance = model(batch).attention[LEAF].split(batch.sizes)
    assert [int(one.argmax()) for one in relevance] == [witness for _, witness in places]


def test_scores_go_back_to_the_rows_of_the_file_when_patches_are_sorted_by_place():
    model = looks_for_witnesses(landmarks=64, order="coords")
    xy = torch.randperm(11, generator=torch.Generator().manual_seed(0))[:, None] * torch.tensor(
        [256.0, 0.0]
    )
    for witness in range(11):
        batch = BagBatch.pack([bag(11, witness)], [xy])
        assert int(model(batch).attention[LEAF].argmax()) == witness
