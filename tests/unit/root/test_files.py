"""Atomic files and folders: after an exception the old content is kept and no temporary file is left."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mobile_vla.errors import UserError
from mobile_vla.files import (
    FileError,
    WriteError,
    atomic_binary,
    atomic_text,
    made_parents,
    replacing,
    replacing_folder,
    write_text,
)

Writer = Callable[[Path], AbstractContextManager[Any]]


def all_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_takes_its_name_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a/b/file"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent, "renaming works within one file system"
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert all_below(tmp_path) == ["a", "a/b", "a/b/file"]


def test_bytes_and_text(tmp_path: Path) -> None:
    with atomic_binary(tmp_path / "bytes", sync=True) as file:
        file.write(b"\x00\xff")
    with atomic_text(tmp_path / "table", newline="") as text:
        text.write("a\r\nä\r\n")
    write_text(tmp_path / "text", "ö\n", sync=True)
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert (tmp_path / "table").read_bytes() == "a\r\nä\r\n".encode()
    assert (tmp_path / "text").read_bytes() == "ö\n".encode()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("writer", [replacing, atomic_binary, atomic_text, replacing_folder])
def test_no_temporary_file_is_left_after_an_exception(
    tmp_path: Path, writer: Writer, error: type[BaseException]
) -> None:
    with pytest.raises(error), writer(tmp_path / "new/folder/thing") as temporary:
        if isinstance(temporary, Path):
            (temporary / "inside").touch() if temporary.is_dir() else temporary.touch()
        raise error
    assert all_below(tmp_path) == []


@pytest.mark.parametrize("writer", [replacing, atomic_binary, atomic_text])
def test_the_old_file_is_kept_after_an_error(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), writer(path):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert all_below(tmp_path) == ["file"]


def test_a_replaced_file_passes_its_permissions_on(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    for mode in (0o600, 0o644, 0o444):
        path.chmod(mode)
        write_text(path, "new")
        assert path.stat().st_mode & 0o777 == mode
    write_text(tmp_path / "other", "new")
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "other").stat().st_mode == plain.stat().st_mode, "those that the process gives to a new file"


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "old"


def test_anything_but_a_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to(os.devnull)
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
    before = all_below(tmp_path)
    for name, reason in (
        ("pipe", "is a pipe"),
        ("link", "is a pipe"),
        ("device", "is a device"),
        ("socket", "is a socket"),
        ("folder", "is a folder"),
        ("loop", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("x\0", "null character"),
    ):
        with pytest.raises(UserError, match=reason):
            write_text(tmp_path / name, "text")
    assert all_below(tmp_path) == before


def test_a_refusal_of_the_system_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file/below", tmp_path / "file/below/deeper"):
        with pytest.raises(WriteError, match=rf"^{path} cannot be written \(.+\); choose another place$"):
            write_text(path, "text")
        with pytest.raises(WriteError, match=rf"^{path} cannot be written \(.+\); choose another place$"):
            replacing_folder(path).__enter__()
    with (
        pytest.raises(WriteError, match=r"\(No space left on device\); free some space") as raised,
        atomic_text(tmp_path / "file"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.reason == "No space left on device"


def test_errors_of_other_files_pass_through(tmp_path: Path) -> None:
    for writer in (replacing, replacing_folder):
        with pytest.raises(FileNotFoundError) as raised, writer(tmp_path / "output"):
            (tmp_path / "input").read_bytes()
        assert raised.value.filename == str(tmp_path / "input")
    with pytest.raises(WriteError), replacing_folder(tmp_path / "output") as folder:
        (folder / "missing/file").touch()


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file"), replacing(tmp_path / "file"):
        pass


def test_two_writers_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    with atomic_text(tmp_path / "file") as first, atomic_text(tmp_path / "file") as second:
        first.write("first " * 10)
        second.write("second")
    assert (tmp_path / "file").read_text() == "first " * 10
    assert all_below(tmp_path) == ["file"]


def test_a_folder_takes_its_name_at_the_end_of_the_block(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "a/folder") as folder:
        (folder / "file").touch()
        assert not (tmp_path / "a/folder").exists()
    assert all_below(tmp_path) == ["a", "a/folder", "a/folder/file"]


def test_an_empty_folder_is_replaced_and_a_filled_one_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with replacing_folder(tmp_path / "link") as folder:
        (folder / "file").touch()
    for taken in ("empty", "link", "empty/file"):
        with pytest.raises(FileError, match="is not an empty folder"), replacing_folder(tmp_path / taken):
            pass
    assert all_below(tmp_path) == ["empty", "empty/file", "link"]


def test_of_two_that_make_one_folder_the_second_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="not empty"), replacing_folder(tmp_path / "folder") as second:
        (second / "second").touch()
        with replacing_folder(tmp_path / "folder") as first:
            (first / "first").touch()
            assert second.exists(), "what another one still fills is not removed"
    assert all_below(tmp_path) == ["folder", "folder/first"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from mobile_vla.files import replacing_folder\n"
        "with replacing_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').touch(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "folder"], check=False, timeout=60)
    assert len(all_below(tmp_path)) == 2
    (tmp_path / ".folder.other.kept").mkdir()
    with replacing_folder(tmp_path / "folder"):
        pass
    assert all_below(tmp_path) == [".folder.other.kept", "folder"]


def test_parents_that_were_made_go_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RuntimeError), made_parents(tmp_path / "there/a/b/file"):
        assert (tmp_path / "there/a/b").is_dir()
        raise RuntimeError
    assert all_below(tmp_path) == ["there"]


def test_parents_stay_after_success_and_where_something_lies(tmp_path: Path) -> None:
    with made_parents(tmp_path / "a/file"):
        pass
    assert (tmp_path / "a").is_dir()
    with pytest.raises(RuntimeError), made_parents(tmp_path / "b/c/file"):
        (tmp_path / "b/kept").touch()
        raise RuntimeError
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["kept"]
