"""Files of tensors, whatever their format: names, shapes and number formats at once, data only when asked for.

Every source holds its files open and reads data only when asked, so opening 7 GB costs nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.files import FileError

# the published policy has 1,309 tensors, their names at most 90 characters
MAX_TENSORS = 20_000
MAX_NAME = 300
DTYPE_WORDS = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float64: "fp64",
    torch.int8: "int8",
    torch.int64: "int64",
}
_HASH_CHUNK = 4 << 20


class SourceError(FileError):
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
    # further sets of weights beside the one that was opened, such as `ema_state_dict`
    other_weights: tuple[str, ...] = ()
    optimizer_bytes: int = 0
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
    def held(self) -> tuple[HeldFile, ...]:
        """The same, open."""

    @property
    def container(self) -> Container:
        """What surrounds the tensors."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor under the name it has in the file."""

    def read(self, name: str) -> Tensor:
        """The tensor in the file's own pages: costs no memory, for work that reads it once."""

    def copy(self, name: str) -> Tensor:
        """The tensor in memory of its own: whatever happens to the file, it stays as it is."""


def shown(name: str) -> str:
    """A name from a file, as a person may see it on a terminal."""
    return name if name.isprintable() and len(name) <= MAX_NAME else ascii(name)[:MAX_NAME]


def check_names(path: Path, names: Collection[Any]) -> None:
    """Refuse names that are no names: they are shown to people, and index what is built from them."""
    if len(names) > MAX_TENSORS:
        raise SourceError(f"{path} holds {len(names)} tensors, at most {MAX_TENSORS} are read; save the weights only")
    for name in names:
        if not isinstance(name, str):
            raise SourceError(
                f"{path} names a tensor {repr(name)[:60]}, which is {type(name).__name__} and not a text; "
                f"save a state_dict"
            )
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise SourceError(
                f"{path} names a tensor {name[:60]!a}, which is empty, longer than {MAX_NAME} characters or not "
                f"printable; save a state_dict"
            )


def hash_source(source: TensorSource, progress: Callable[[int], None] = lambda done: None) -> str:
    """`sha256_of` the files that are open, whatever has their names by now."""
    digest, done = hashlib.sha256(), 0
    for file in source.held:
        for piece in file.chunks(0, file.size):
            digest.update(piece)
            done += len(piece)
            progress(done)
    return digest.hexdigest()


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
