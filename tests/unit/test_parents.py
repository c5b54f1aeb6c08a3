from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla.parents import made_parents


def test_parents_that_were_made_go_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RuntimeError), made_parents(tmp_path / "there/a/b/file"):
        assert (tmp_path / "there/a/b").is_dir()
        raise RuntimeError
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_parents_stay_after_success_and_where_something_lies(tmp_path: Path) -> None:
    with made_parents(tmp_path / "a/file"):
        pass
    assert (tmp_path / "a").is_dir()
    with pytest.raises(RuntimeError), made_parents(tmp_path / "b/c/file"):
        (tmp_path / "b/kept").touch()
        raise RuntimeError
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["kept"]
