"""Error messages for paths that are not files of weights. Loads no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla.files import FileError, open_regular

SUFFIXES = {".pth", ".pt", ".safetensors"}


def refuse_unreadable(path: Path) -> None:
    """Raise `UserError` for a file of weights that is not there or cannot be opened."""
    try:
        os.close(open_regular(path))
    except FileError as error:
        raise UserError(f"checkpoint {why_not_opened(path, error)}") from None


def why_not_opened(path: Path, error: FileError) -> str:
    """One sentence for a file of weights that could not be opened."""
    if path.is_dir():
        return _directory(path)
    if isinstance(error.__cause__, FileNotFoundError):
        if re.fullmatch(r"[\w.-]+/[\w.-]+", os.fspath(path)) and path.suffix not in SUFFIXES:
            return (
                f"{path} is not a file here; if it is a hub id, download its files first, nothing is fetched by itself"
            )
        return f"{path} does not exist; check the path"
    return str(error)


def _directory(path: Path) -> str:
    try:
        inside = sorted(
            entry.name
            for entry in path.iterdir()
            if entry.suffix in SUFFIXES or entry.name.endswith(".safetensors.index.json")
        )
    except OSError as error:
        return f"{path} is a directory that cannot be read ({error.strerror or error}); name a file"
    name_one = f"name one of its files: {', '.join(inside[:5])}" if inside else "there is no weights file in it"
    return f"{path} is a directory, not a checkpoint; {name_one}"
