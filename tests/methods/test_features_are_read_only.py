"""Features may be a view of the packed file, where a write would end the process."""

import numpy as np
import pytest
import torch
from test_conformance import OURS, make

from mil_bench.bags.batch import BagBatch
from mil_bench.taxonomy import Taxonomy

TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})


@pytest.mark.parametrize("sizes", [(7,), (1, 5, 9)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", OURS)
def test_no_method_writes_to_the_features_it_is_given(name, dtype, sizes):
    torch.manual_seed(0)
    method = make(name, TREE).float()
    bags = [torch.randn(n, 6).to(dtype) for n in sizes]
    leaf = np.arange(len(sizes)) % 3
    labels = {k: torch.from_numpy(TREE.ancestor_index(k)[leaf]) for k in TREE.levels}
    batch = BagBatch.pack(bags, labels=labels)
    before = batch.features.clone()
    written = batch.features._version
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        for training in (True, False):
            method.train(training)
            terms = method.loss(method(batch), batch, 0.5)
            torch.stack([term.float() for term in terms.values()]).sum().backward()
    assert batch.features._version == written
    assert torch.equal(batch.features, before)
