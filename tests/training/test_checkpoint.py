import errno
import os
import pickle

import pytest
import torch

from mil_bench.base.errors import RunError
from mil_bench.training.checkpoint import Checkpoint, host_copy


def make(epoch=1):
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return Checkpoint(
        key="k",
        threads=1,
        epoch=epoch,
        best_epoch=epoch,
        best_value=0.5,
        history=[{"epoch": 1, "loss": 0.25}],
        best_model=host_copy(layer.state_dict()),
        model=host_copy(layer.state_dict()),
        optimizer=optimizer.state_dict(),
        schedule={"step": 3, "scale": 0.1, "last_change": 2},
        scaler={},
        mean=torch.zeros(2),
        std=torch.ones(2),
    )


def test_a_checkpoint_is_read_back_as_it_was_without_pickled_code(tmp_path):
    path, saved = tmp_path / "c.pt", make()
    saved.save(path)
    read = Checkpoint.load(path)
    assert torch.load(path, weights_only=True)["epoch"] == 1
    assert read.history == saved.history
    assert read.schedule == saved.schedule
    torch.testing.assert_close(read.model, saved.model)
    torch.testing.assert_close(read.optimizer["state"], saved.optimizer["state"])


def test_later_training_does_not_change_a_host_copy():
    layer = torch.nn.Linear(2, 2)
    copy = host_copy(layer.state_dict())
    before = copy["weight"].clone()
    with torch.no_grad():
        layer.weight += 1
    assert torch.equal(copy["weight"], before)


def test_a_slimmed_checkpoint_keeps_only_what_inference_needs(tmp_path):
    slim = make().slimmed()
    assert (slim.model, slim.optimizer, slim.schedule, slim.scaler) == (None,) * 4
    assert slim.best_model
    assert slim.standardization is not None


def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    make(epoch=1).save(path)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        make(epoch=2).save(path)
    assert Checkpoint.load(path).epoch == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"epoch": 1})])
def test_a_file_that_is_no_checkpoint_gives_one_sentence(tmp_path, content):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"c\.pt is not a readable checkpoint; .*overwrite"):
        Checkpoint.load(path)


def test_a_truncated_checkpoint_gives_one_sentence(tmp_path):
    path = tmp_path / "c.pt"
    make().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="not a readable checkpoint"):
        Checkpoint.load(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "boom"),)

    torch.save({"key": Bomb()}, tmp_path / "c.pt")
    with pytest.raises(RunError):
        Checkpoint.load(tmp_path / "c.pt")
    assert not (tmp_path / "boom").exists()
