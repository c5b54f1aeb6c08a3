"""Places in which no bag can be made are refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobile_vla.bags.bag_place import free_bytes, refuse_bag_place
from mobile_vla.errors import UserError

ROOMY = (10**12, 0, 10**11)


def test_a_valid_place_is_not_changed(tmp_path: Path) -> None:
    refuse_bag_place(tmp_path / "not" / "there" / "yet", lambda place: ROOMY, least_free_mb=256)
    assert list(tmp_path.iterdir()) == []
    assert free_bytes(tmp_path / "not" / "there") > 0


@pytest.mark.parametrize("bag", ["/proc/x", "/proc/1/x", "/proc/not/there/x"])
def test_places_without_a_disk_are_refused(bag: str) -> None:
    with pytest.raises(UserError, match=rf"{bag} cannot be made: /proc\S* is on no disk; choose another place"):
        refuse_bag_place(Path(bag))


def test_other_places(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bag").mkdir()
    with pytest.raises(UserError, match="bag exists already"):
        refuse_bag_place(tmp_path / "bag")
    with pytest.raises(UserError, match=r"file is not a folder"):
        refuse_bag_place(tmp_path / "file" / "bag")
    with pytest.raises(UserError, match="has 100 MB left, the limit is 256 MB"):
        refuse_bag_place(tmp_path / "new", lambda place: (10**12, 0, 10**8), least_free_mb=256)
