"""Writing safetensors one tensor at a time, atomically: never more than one tensor in memory.

`safetensors.torch.save_file` wants the whole dictionary at once, which is what a small machine does not have.

Data starts at a multiple of 64 bytes, and so does every tensor whose size is one: a tensor that is mapped at an odd
address sends the matrix libraries down another path, with other rounding. The format allows no holes between tensors,
so those of other sizes (`logit_scale`, the last bias) come last, the roundest first.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary

DTYPE_NAMES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int8: "I8",
    torch.int64: "I64",
    torch.float64: "F64",
}
# key of the sha256 of everything behind the header; checked at every load that has no card with the whole file's
DATA_SHA256 = "mobile_vla.data_sha256"
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_NOT_YET = "-" * 64
ALIGNMENT = 64
# bytes of the field before the header that holds the header's own length
_LENGTH = 8
_CHUNK = 16 << 20


class TensorEntry(NamedTuple):
    """One tensor to be written: its number format and shape are promised before its data exists."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's data."""
        count = 1
        for side in self.shape:
            count *= side
        return count * self.dtype.itemsize

    @property
    def alignment(self) -> int:
        """The largest power of two, up to `ALIGNMENT`, that divides the size."""
        return math.gcd(self.nbytes, ALIGNMENT)


def aligned_order(entries: Iterable[TensorEntry]) -> list[TensorEntry]:
    """The order without holes in which every tensor starts at a multiple of its own `alignment`; otherwise as given."""
    return sorted(entries, key=lambda entry: -entry.alignment)


def write_safetensors(
    path: Path,
    entries: Iterable[TensorEntry],
    tensors: Callable[[str], Tensor],
    metadata: Mapping[str, str],
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write `entries` in `aligned_order`, asking `tensors(name)` for each one's data, with the sha256 of all data.

    `progress` gets the bytes written so far.
    """
    entries = aligned_order(entries)
    header: dict[str, object] = {"__metadata__": {**metadata, DATA_SHA256: _NOT_YET}}
    offset = 0
    for entry in entries:
        header[entry.name] = {
            "dtype": DTYPE_NAMES[entry.dtype],
            "shape": list(entry.shape),
            "data_offsets": [offset, offset + entry.nbytes],
        }
        offset += entry.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH + len(text)) % ALIGNMENT)
    digest = hashlib.sha256()
    with atomic_binary(path, sync=True) as file:
        file.write(len(text).to_bytes(_LENGTH, "little") + text)
        done = 0
        for entry in entries:
            tensor = tensors(entry.name)
            if tensor.dtype != entry.dtype or tuple(tensor.shape) != entry.shape:
                raise ValueError(
                    f"{entry.name}: promised {entry.dtype} {entry.shape}, got {tensor.dtype} {tuple(tensor.shape)}"
                )
            for part in raw_chunks(tensor):
                file.write(part)
                digest.update(part)
                done += len(part)
                progress(done)
            release_written(file)
        file.seek(_LENGTH + text.index(_NOT_YET.encode()))
        file.write(digest.hexdigest().encode())


def raw_chunks(tensor: Tensor) -> Iterator[memoryview]:
    """The tensor's bytes in pieces, without a second copy of it."""
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    for start in range(0, flat.numel(), _CHUNK):
        yield flat[start : start + _CHUNK].numpy().data


def release_written(file: BinaryIO) -> None:
    """Let the kernel drop what was written, so that a memory limit counts one tensor and not the file."""
    file.flush()
    os.fdatasync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def refuse_little_space(folder: Path, needed_bytes: int) -> None:
    """Raise `UserError` where a file of that size does not fit, before anything is written, folders included."""
    while not folder.exists():
        folder = folder.parent
    if (free := shutil.disk_usage(folder).free) < needed_bytes:
        raise UserError(
            f"{folder} has {_size(free)} free, {_size(needed_bytes)} are needed; free some, or choose another place"
        )


def _size(count: int) -> str:
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), _UNITS[-1])
    return f"{count / unit:.1f} {name}"
