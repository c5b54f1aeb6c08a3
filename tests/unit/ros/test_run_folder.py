from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mobile_vla_ros.run_folder import RUN_FOLDER, begin_run, run_folder


def test_a_run_has_the_folder_it_was_given_else_one_of_the_user() -> None:
    assert run_folder({RUN_FOLDER: "/a/run", "XDG_RUNTIME_DIR": "/run/user/7"}) == Path("/a/run")
    assert run_folder({"XDG_RUNTIME_DIR": "/run/user/7"}) == Path("/run/user/7/mobile_vla")
    assert run_folder({}) == Path(tempfile.gettempdir()) / f"mobile_vla-{os.getuid()}"


def test_a_new_run_finds_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    begin_run(tmp_path / "not there")
    (tmp_path / "estop_0.controller.json").write_text("{}")
    begin_run(tmp_path)
    assert list(tmp_path.iterdir()) == []
