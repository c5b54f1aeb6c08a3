"""Opening a file of tensors: its first bytes say what it is, whatever its name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mobile_vla.checkpoint.pth import PthSource
from mobile_vla.checkpoint.safetensors_source import SafetensorsSource, read_index
from mobile_vla.checkpoint.source import SourceError, TensorSource

_ZIP, _OLD_PICKLE = b"PK\x03\x04", b"\x80"


def open_source(path: Path, weights: str = "") -> TensorSource:
    """Open a .pth, .pt, .safetensors or .safetensors.index.json by its content; raises `SourceError` otherwise.

    `weights` names the entry of a .pth to take where it holds several sets of weights.
    """
    start = _first_bytes(path)
    if start.startswith(_ZIP):
        return PthSource(path, weights)
    if weights:
        raise SourceError(f"{path} holds one set of weights; --weights {weights} is for a .pth or .pt, leave it out")
    if path.suffix == ".json":
        return SafetensorsSource(path, read_index(path))
    if len(start) > 8 and start[8:9] == b"{":
        return SafetensorsSource(path, {path.name: None})
    if start.startswith(_OLD_PICKLE):
        raise SourceError(
            f"{path} is a PyTorch file of the old format (before 1.6), which cannot be read piece by piece"
            f"; save it again with a current torch.save"
        )
    if path.suffix in {".pth", ".pt", ".safetensors"}:
        raise SourceError(
            f"{path} is not a checkpoint although it is named like one; copy it again from where it was made"
        )
    raise SourceError(
        f"{path} is not a checkpoint; name a .pth, .pt or .safetensors file, or a .safetensors.index.json"
    )


def _first_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            inside = sorted(
                entry.name
                for entry in path.iterdir()
                if entry.suffix in {".pth", ".pt", ".safetensors"} or entry.name.endswith(".safetensors.index.json")
            )
            name_one = f"name one of its files: {', '.join(inside[:5])}" if inside else "there is no weights file in it"
            raise SourceError(f"{path} is a directory, not a checkpoint; {name_one}")
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        if re.fullmatch(r"[\w.-]+/[\w.-]+", os.fspath(path)) and path.suffix not in {".pth", ".pt", ".safetensors"}:
            raise SourceError(
                f"{path} is not a file here; if it is a hub id, download its files first, nothing is fetched by itself"
            ) from None
        raise SourceError(f"{path} does not exist; check the path") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from None
    if not start:
        raise SourceError(f"{path} is empty; copy it again from where it was made")
    return start
