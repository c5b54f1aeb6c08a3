"""A file that is replaced, truncated or copied over while it is held."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.files import FileError


def test_a_replaced_name_leaves_the_held_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"before")
    other.write_bytes(b"after!")
    held = HeldFile(path)
    other.replace(path)
    assert held.bytes_at(0, 6) == b"before"
    assert Path(held.name).read_bytes() == b"before"
    assert not held.changed()


@pytest.mark.parametrize("how", ["truncated", "appended", "copied over"])
def test_a_write_into_the_held_file_is_noticed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(5000))
    os.utime(path, ns=(0, 0))
    held = HeldFile(path)
    if how == "truncated":
        os.truncate(path, 10)
    elif how == "appended":
        path.open("ab").write(b"x")
    else:
        path.write_bytes(b"x" * 5000)
    assert "was written to after it was opened" in held.changed()
    with pytest.raises(FileError, match="replace files with mv, never with cp"):
        held.mapped(0, torch.uint8, 100)


def test_a_read_beyond_a_truncated_end_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(5000))
    held = HeldFile(path)
    os.truncate(path, 10)
    with pytest.raises(FileError, match=r"is truncated \(it ends at byte 10\)"):
        held.copied(0, torch.uint8, 100)
    with pytest.raises(FileError, match="is truncated"):
        held.bytes_at(5, 10)
