"""The storage files of a bag on disk, and what lies there instead: said before anything tries to parse it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mobile_vla.errors import UserError

SUFFIXES = (".mcap", ".db3")
_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE = b"size "
_LFS_MOST_BYTES = 1024
_KINDS = "expected a rosbag2 folder, or an .mcap, .db3 or .bag file"


def storage_files(folder: Path) -> list[Path]:
    """The storage files of a bag folder in recording order (`_2` before `_10`)."""

    def order(path: Path) -> tuple[int, str]:
        number = path.stem.rpartition("_")[2]
        return (int(number) if number.isdigit() else 0, path.name)

    return sorted([*folder.glob("*.mcap"), *folder.glob("*.db3")], key=order)


def compressed_files(folder: Path) -> list[Path]:
    """Storage files that rosbag2 compressed as a whole."""
    return sorted(path for suffix in SUFFIXES for path in folder.glob(f"*{suffix}.zstd"))


def refuse_what_is_no_bag(path: Path) -> None:
    """Raise `UserError` for a path that no reader need try."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            inside = [*storage_files(path), *compressed_files(path), *path.glob("metadata.yaml")]
            if not inside:
                raise UserError(
                    f"{path} is not a bag: the folder holds no .mcap or .db3 file; name the folder of a bag"
                )
            for file in inside:
                _refuse_pointer(file)
            return
        if not stat.S_ISREG(mode):
            raise UserError(f"{path} is not a bag: it is no ordinary file; {_KINDS}")
        if path.stat().st_size == 0:
            raise UserError(f"{path} is an empty file (0 bytes); record or copy it again")
        _refuse_pointer(path)
        if path.name.endswith(tuple(f"{suffix}.zstd" for suffix in SUFFIXES)):
            raise UserError(
                f"{path} is compressed as a whole; name its folder, which holds metadata.yaml, or decompress it with "
                "`zstd -d`"
            )
        if path.suffix not in (*SUFFIXES, ".bag"):
            raise UserError(f"{path} is not a bag: {_KINDS}")
    except FileNotFoundError as error:
        raise UserError(f"there is no bag at {path}; check the path") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({os.strerror(error.errno or 0)}); check its permissions") from error


def _refuse_pointer(file: Path) -> None:
    """Git LFS leaves a small text file where a large one was not fetched."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise UserError(f"{file} is no ordinary file; name the folder of a bag")
    if file.stat().st_size > _LFS_MOST_BYTES:
        return
    with file.open("rb") as opened:
        lines = opened.read(_LFS_MOST_BYTES).splitlines()
    if not lines or not lines[0].startswith(_LFS):
        return
    size = next((line[len(_LFS_SIZE) :] for line in lines if line.startswith(_LFS_SIZE)), b"")
    missing = f" of {int(size) / 1e6:.1f} MB" if size.isdigit() and len(size) < 20 else ""
    raise UserError(
        f"{file} is a Git LFS pointer, not the file{missing} that it stands for; fetch it with `git lfs pull`"
    )
