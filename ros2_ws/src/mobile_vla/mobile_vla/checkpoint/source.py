"""Files of tensors, whatever their format: names, shapes and number formats at once, data only when asked for.

Every source memory-maps its files, so opening 7 GB costs address space and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
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
    # further sets of weights beside the one that was opened, such as `ema_state_dict`
    other_weights: tuple[str, ...] = ()
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


def parse_json(path: Path) -> Any:
    """JSON text of a small file, with one sentence when it is not."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise SourceError(f"{path} is not readable JSON ({error}); copy it again from where it was made") from None
