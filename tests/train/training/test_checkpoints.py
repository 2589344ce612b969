"""What is written is what was, however training goes on meanwhile."""

from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load

from incoder_train.errors import UserError
from incoder_train.training.checkpoints import STATE, TENSORS, Saver, damage, find_checkpoints, newest_whole, snapshot
from incoder_train.training.parallel import World

WORLD = World(0, 1, torch.device("cpu"))


@pytest.mark.parametrize("world", [WORLD, World(0, 1, torch.device("cuda")), World(0, 2, torch.device("cpu"))])
def test_a_snapshot_is_a_copy(world: World) -> None:
    tensor = torch.zeros(3)
    copies = snapshot({"weights.a": tensor}, world)
    tensor += 1
    assert copies["weights.a"].tolist() == [0, 0, 0]


def test_a_checkpoint_holds_what_was_when_it_was_asked_for(tmp_path: Path) -> None:
    tensor = torch.arange(1_000_000.0)
    with Saver(tmp_path, WORLD, keep=2) as saver:
        for step in (1, 2, 3):
            folder = saver.save(step, {"weights.a": tensor}, {"count": step}, {"config.json": b"{}"})
            tensor += 1  # the next update, at once
    assert [path.name for path in find_checkpoints(tmp_path)] == ["step-00000002", "step-00000003"]
    read = {"weights.a": torch.empty(1_000_000)}
    load(read, storage_reader=FileSystemReader(folder / TENSORS))
    assert torch.equal(read["weights.a"], torch.arange(1_000_000.0) + 2)
    assert damage(folder) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with Saver(tmp_path, WORLD, keep=2) as saver:
        saver.save(1, {"weights.a": torch.zeros(3)}, {}, {})
        saver.wait()
        saver.save(2, {"weights.a": torch.zeros(3)}, {}, {"no/folder.json": b"{}"})
        with pytest.raises(
            UserError, match=r"step 2 could not be written .*; make room, then resume from step-00000001"
        ):
            saver.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_newest_whole_passes_over_what_is_damaged(tmp_path: Path) -> None:
    said: list[str] = []
    assert newest_whole(tmp_path, said.append) is None
    with Saver(tmp_path, WORLD, keep=3) as saver:
        for step in (1, 2, 3):
            saver.save(step, {"weights.a": torch.ones(3)}, {}, {})
    (tmp_path / "step-00000003" / STATE).write_text("{}")
    next((tmp_path / "step-00000002" / TENSORS).glob("*.distcp")).unlink()
    assert newest_whole(tmp_path, said.append) == tmp_path / "step-00000001"
    assert [sentence.split(" is damaged")[0] for sentence in said] == ["step-00000003", "step-00000002"]
