"""Names of checkpoints in settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla import resources
from mobile_vla.engine.named import checkpoint_file
from mobile_vla.errors import UserError


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "checkpoints" / "small" / "policy.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(resources, "_roots", lambda: [tmp_path])
    return file


def test_a_shipped_policy_is_found_by_the_name_of_its_folder(shipped: Path) -> None:
    assert checkpoint_file("shipped:small") == shipped


def test_a_path_is_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkpoint_file("~/own.pth") == tmp_path / "own.pth"


def test_an_unknown_shipped_policy_is_named_with_the_nearest(shipped: Path) -> None:
    with pytest.raises(UserError, match="unknown shipped policy 'smal'; did you mean 'small'"):
        checkpoint_file("shipped:smal")


def test_without_the_folder_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_roots", lambda: [tmp_path])
    with pytest.raises(UserError, match="no policy lies in a checkpoints/ folder, so shipped:small names nothing"):
        checkpoint_file("shipped:small")
