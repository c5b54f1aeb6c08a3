"""Opening a file of tensors: its first bytes say what it is, whatever its name."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.checkpoint.pth import PthSource
from mobile_vla.checkpoint.safetensors_source import SafetensorsSource, read_index
from mobile_vla.checkpoint.source import SourceError, TensorSource
from mobile_vla.checkpoint.weights_path import SUFFIXES, why_not_opened
from mobile_vla.files import FileError

_ZIP, _OLD_PICKLE = b"PK\x03\x04", b"\x80"


def open_source(path: Path, weights: str = "") -> TensorSource:
    """Open a .pth, .pt, .safetensors or .safetensors.index.json by its content; raises `SourceError` otherwise.

    `weights` names the entry of a .pth to take where it holds several sets of weights. The file is opened once:
    whatever has its name later, this is what is read.
    """
    file = _open(path)
    start = file.bytes_at(0, min(16, file.size))
    if not start:
        raise SourceError(f"{path} is empty; copy it again from where it was made")
    if start.startswith(_ZIP):
        return PthSource(file, weights)
    if weights:
        raise SourceError(f"{path} holds one set of weights; --weights {weights} is for a .pth or .pt, leave it out")
    if path.suffix == ".json":
        return SafetensorsSource(path, read_index(path), {})
    if len(start) > 8 and start[8:9] == b"{":
        return SafetensorsSource(path, {path.name: None}, {path.name: file})
    if start.startswith(_OLD_PICKLE):
        raise SourceError(
            f"{path} is a PyTorch file of the old format (before 1.6), which cannot be read piece by piece"
            f"; save it again with a current torch.save"
        )
    if path.suffix in SUFFIXES:
        raise SourceError(
            f"{path} is not a checkpoint although it is named like one; copy it again from where it was made"
        )
    raise SourceError(
        f"{path} is not a checkpoint; name a .pth, .pt or .safetensors file, or a .safetensors.index.json"
    )


def _open(path: Path) -> HeldFile:
    try:
        return HeldFile(path)
    except FileError as error:
        raise SourceError(why_not_opened(path, error)) from None
