"""What a run leaves in /tmp: nothing when it ended as it should, its logs when it did not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobile_vla.errors import UserError
from mobile_vla_bringup import session as module
from mobile_vla_bringup.graph import Graph
from mobile_vla_bringup.session import Session, open_session


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "in_use", lambda domain_id: False)


@contextlib.contextmanager
def opened(folder: Path | None = None) -> Iterator[Session]:
    with open_session(Graph("", ()), lambda name, line: None, domain_id=7, folder=folder) as session:
        (session.folder / "controller.log").touch()
        yield session


def test_an_intact_run_leaves_nothing_in_tmp(tmp_path: Path) -> None:
    with opened() as session:
        assert session.folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_failed_or_restarted_something_keeps_its_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError), opened():
        raise UserError("controller cannot start")
    with opened() as session:
        monkeypatch.setattr(session.supervisor, "restarts", lambda: {"camera": 1})
    assert len(list(tmp_path.glob("mobile_vla_*/controller.log"))) == 2


def test_a_chosen_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with opened(tmp_path / "logs"):
        pass
    assert (tmp_path / "logs" / "controller.log").exists()
