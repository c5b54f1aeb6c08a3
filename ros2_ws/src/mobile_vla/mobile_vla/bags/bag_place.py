"""Checks that a bag can be created at a path, before anything is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla.files import expanded


def refuse_bag_place(
    bag: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage, least_free_mb: int = 0
) -> None:
    """Raise `UserError` for a folder in which no bag can be made, without making anything: for a dry run, too."""
    if bag.exists():
        raise UserError(f"{bag} exists already; choose another name or remove it")
    place = _nearest(bag)
    if not place.is_dir():
        raise UserError(f"{bag} cannot be made: {place} is not a folder; choose another place for the bag")
    total, _, free = usage(place)
    if total == 0:  # /proc, /sys: what looks like a file system and stores nothing
        raise UserError(f"{bag} cannot be made: {place} is on no disk; choose another place for the bag")
    if not os.access(place, os.W_OK | os.X_OK) or os.statvfs(place).f_flag & os.ST_RDONLY:
        raise UserError(f"{bag} cannot be made: {place} cannot be written; choose another place for the bag")
    if free < least_free_mb * 1_000_000:
        raise UserError(
            f"{bag} cannot be made: {place} has {free // 1_000_000} MB left, the limit is {least_free_mb} MB; "
            "free space, or choose another place"
        )


def free_bytes(bag: Path) -> int:
    """What the disk has left on which a bag will lie."""
    return shutil.disk_usage(_nearest(bag)).free


def _nearest(bag: Path) -> Path:
    """The folder nearest to the bag that is there already."""
    return next(parent for parent in expanded(bag).absolute().parents if parent.exists())
