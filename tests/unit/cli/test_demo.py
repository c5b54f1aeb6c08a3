"""`vla demo` that is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla_cli import main

REFUSED = ["demo", "--policy", "no_such_policy"]


def test_a_refused_demo_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert main([*REFUSED, "--out", "made"]) == 2
    assert main(REFUSED) == 2
    assert main([*REFUSED, "--out", "mine"]) == 2
    assert "no_such_policy" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
    assert list(tmp_path.glob("out/*")) == []
    assert (tmp_path / "mine").is_dir()
