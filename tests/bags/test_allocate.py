import pytest
import torch

from mil_bench.bags.conversion import host_empty, on_cache_line


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1000, 1031)])
def test_host_memory_has_shape_and_type_begins_on_a_cache_line_and_is_its_own(shape, dtype):
    one, other = host_empty(shape, dtype), host_empty(shape, dtype)
    for tensor in (one, other):
        assert tensor.shape == shape
        assert tensor.dtype == dtype
        assert tensor.is_contiguous()
        assert tensor.data_ptr() % 64 == 0
    one.fill_(1)
    other.fill_(2)
    assert (one == 1).all()


def test_a_row_of_32_bytes_moves_a_tensor_off_the_cache_line():
    rows = host_empty((4, 8), torch.float32)
    assert [on_cache_line(rows[i:]) for i in range(4)] == [True, False, True, False]
