"""What is latched outlives the process; a file that is damaged is a stop, one that cannot be written is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobile_vla.control import Latched, Pressed
from mobile_vla_nodes.controller_status import with_warnings
from mobile_vla_nodes.latch_file import BEFORE, LatchFile
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Status

STOP = Latched("stop input /button", (Pressed("0a", "/button"), Pressed(None, "")))


def make(folder: Path, domain_id: int = 3, node: str = "/robot1/controller") -> LatchFile:
    return LatchFile(folder, domain_id, node)


def test_the_next_process_latches_what_this_one_left_until_it_is_cleared(tmp_path: Path) -> None:
    first = make(tmp_path / "run")
    assert (first.load(), first.error) == (None, "")
    first.keep(STOP)
    second = make(tmp_path / "run")
    again = second.load()
    assert again == Latched(STOP.cause + BEFORE, STOP.pressed)
    second.keep(again)
    assert make(tmp_path / "run").load() == again, "the words do not pile up"
    second.keep(None)
    assert make(tmp_path / "run").load() is None
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("other", [{"domain_id": 4}, {"node": "/controller"}, {"node": "/robot1.controller"[:7]}])
def test_controllers_of_one_folder_have_files_of_their_own(tmp_path: Path, other: dict[str, object]) -> None:
    make(tmp_path).keep(STOP)
    assert make(tmp_path, **other).load() is None  # type: ignore[arg-type]


def test_it_is_written_only_when_something_changes(tmp_path: Path) -> None:
    unit = make(tmp_path)
    unit.keep(STOP)
    unit.path.unlink()
    unit.keep(Latched(*STOP))
    assert not unit.path.exists()
    unit.keep(Latched("service"))
    assert unit.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b"[" * 100_000),
        b'{"cause": 3, "pressed": []}',
        b'{"cause": "x"}',
        b'{"cause": "x", "pressed": [["a"]]}',
        b'{"cause": "x", "pressed": 4}',
        b'{"cause": "x", "pressed": [[1, "b"]]}',
    ],
)
def test_a_damaged_file_is_a_stop(tmp_path: Path, content: bytes) -> None:
    unit = make(tmp_path)
    unit.path.write_bytes(content)
    found = unit.load()
    assert found is not None
    assert str(unit.path) in found.cause
    unit.keep(None)
    assert make(tmp_path).load() is None


def test_a_folder_that_cannot_be_used_is_named_and_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    unit = make(tmp_path / "file" / "run")
    assert unit.load() is None
    assert "would not outlive this controller" in unit.error
    unit.keep(STOP)
    assert str(unit.path) in unit.error
    unit.keep(None)
    assert unit.error


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path).keep(STOP)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    unit = make(tmp_path)
    unit.load()
    assert "belongs to another user" in unit.error


@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "large"])
def test_what_is_no_small_file_is_a_stop_and_read_no_further(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path).path
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(3 << 30)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path.name)
    unit = make(tmp_path)
    latched = unit.load()
    assert latched is not None
    assert "cannot be read" in latched.cause
    assert unit.error


def test_a_folder_in_its_place_is_named_after_the_reset_until_a_person_has_removed_it(tmp_path: Path) -> None:
    unit = make(tmp_path)
    (unit.path / "inside").mkdir(parents=True)
    assert unit.load() is not None
    unit.keep(None)
    assert unit.left_behind == unit.error
    assert f"{unit.path}, cannot be removed" in unit.error
    assert f"remove it by hand: rm -r '{unit.path}'" in unit.error
    assert make(tmp_path).load() is not None, "the next controller boots latched"
    unit.keep(None)
    assert unit.left_behind
    (unit.path / "inside").rmdir()
    unit.path.rmdir()
    unit.keep(None)
    assert (unit.left_behind, unit.error) == ("", "")


def test_a_state_with_a_warning_says_it_and_is_a_warning_at_least() -> None:
    said = Status(OK, "disarmed", {"mode": "disarmed"})
    assert with_warnings(said, "", "") == said
    assert with_warnings(said, "", "it stays") == Status(WARN, "disarmed; it stays", said.values)
    assert with_warnings(Status(ERROR, "estop", {}), "it stays").level == ERROR
