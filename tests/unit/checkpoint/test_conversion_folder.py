from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla.checkpoint.conversion_folder import conversion_folder
from mobile_vla.errors import UserError

KILLED = """
import os, signal, sys
from pathlib import Path
from mobile_vla.checkpoint.conversion_folder import conversion_folder
with conversion_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"1234")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -9
    assert (target.parent / f".converting.{target.name}" / "half").exists()


def test_it_is_gone_after_the_block(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "p.safetensors"
    with conversion_folder(target) as folder:
        assert folder.parent == target.parent
        (folder / "half").write_bytes(b"1234")
    assert list(target.parent.iterdir()) == []


def test_it_is_gone_after_ctrl_c(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), conversion_folder(tmp_path / "p.safetensors"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["p.safetensors", "other.safetensors"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, name: str) -> None:
    killed(tmp_path / "p.safetensors")
    with conversion_folder(tmp_path / name) as folder:
        assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]
        assert [entry.name for entry in folder.iterdir()] == ["lock"]
    assert list(tmp_path.iterdir()) == []


def test_what_an_older_release_left_is_removed(tmp_path: Path) -> None:
    """It used random names and no lock."""
    (tmp_path / ".converting.x1y2" / "deeper").mkdir(parents=True)
    (tmp_path / ".converting.x1y2" / "p.safetensors").touch()
    with conversion_folder(tmp_path / "p.safetensors"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_conversion_to_one_target_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "p.safetensors"
    with conversion_folder(target) as folder:
        (folder / "half").touch()
        with pytest.raises(UserError, match=r"p.safetensors is being written by another conversion; wait"):
            conversion_folder(target).__enter__()
        assert (folder / "half").exists()
    with conversion_folder(target):
        pass


def test_conversions_to_two_targets_do_not_disturb_each_other(tmp_path: Path) -> None:
    with conversion_folder(tmp_path / "a.safetensors") as one, conversion_folder(tmp_path / "b.safetensors") as other:
        assert one != other
        assert one.is_dir()
        assert other.is_dir()


def test_only_folders_of_that_name_are_touched(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    (tmp_path / ".converting.link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".converting.file").write_text("mine")
    (tmp_path / "converting.p").mkdir()
    with conversion_folder(tmp_path / "p.safetensors"):
        pass
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "elsewhere", ".converting.link", ".converting.file", "converting.p"
    }  # fmt: skip
    assert (tmp_path / "elsewhere" / "precious").exists()


@pytest.mark.parametrize("where", ["file/p.safetensors", ".converting.taken"])
def test_a_place_that_cannot_be_worked_in_is_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ".converting..converting.taken").touch()
    with pytest.raises(UserError, match=r"cannot work in .*; choose another destination"):
        conversion_folder(tmp_path / where).__enter__()


def test_folders_made_for_a_conversion_that_failed_are_removed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RuntimeError), conversion_folder(tmp_path / "there" / "a" / "b" / "p.safetensors"):
        raise RuntimeError
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
