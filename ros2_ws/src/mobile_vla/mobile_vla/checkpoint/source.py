"""Files of tensors, whatever their format: names, shapes and number formats at once, data only when asked for.

Every source memory-maps its files, so opening 7 GB costs address space and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from mobile_vla.errors import UserError

DTYPE_WORDS = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float64: "fp64",
    torch.int8: "int8",
    torch.int64: "int64",
}
_ZIP, _OLD_PICKLE = b"PK\x03\x04", b"\x80"
_HASH_CHUNK = 4 << 20


class SourceError(UserError):
    """A file that cannot be read as a checkpoint."""


class TensorInfo(NamedTuple):
    """What is known of a tensor without reading it."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Container:
    """What surrounds the tensors in the file."""

    format: str
    key: str = ""
    entries: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    optimizer_bytes: int = 0
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def words(self) -> str:
        """One phrase for reports."""
        return f"{self.format}, {self.key}" if self.key else f"{self.format}, bare"


class TensorSource(Protocol):
    """An open checkpoint."""

    @property
    def path(self) -> Path:
        """The file that was named."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file with weights in it."""

    @property
    def container(self) -> Container:
        """What surrounds the tensors."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor under the name it has in the file."""

    def read(self, name: str) -> Tensor:
        """The memory-mapped tensor."""


def open_source(path: Path) -> TensorSource:
    """Open a .pth, .pt, .safetensors or .safetensors.index.json by its content; raises `SourceError` otherwise."""
    start = _first_bytes(path)
    if start.startswith(_ZIP):
        from mobile_vla.checkpoint.pth import PthSource

        return PthSource(path)
    from mobile_vla.checkpoint.safetensors_source import SafetensorsSource, read_index

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


def sha256_of(files: tuple[Path, ...], progress: Callable[[int], None] = lambda done: None) -> str:
    """sha256 over the files' bytes in order; `progress` gets the bytes hashed so far."""
    digest, done = hashlib.sha256(), 0
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(_HASH_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                progress(done)
    return digest.hexdigest()


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


def parse_json(path: Path) -> Any:
    """JSON text of a small file, with one sentence when it is not."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise SourceError(f"{path} is not readable JSON ({error}); copy it again from where it was made") from None
