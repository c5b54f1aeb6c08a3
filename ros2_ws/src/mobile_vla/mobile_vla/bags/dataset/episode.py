"""One episode on disk: JPEG frames and the commands given at them, in one .npz file."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobile_vla.camera.encodings import decompress
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary, open_regular

_AXES = 3
_LAYOUT = {
    "instruction": (np.dtype(np.uint8), 1),
    "stamps_ns": (np.dtype(np.int64), 1),
    "actions": (np.dtype(np.float32), 2),
    "jpeg_ends": (np.dtype(np.int64), 1),
    "jpeg_bytes": (np.dtype(np.uint8), 1),
}
"""Number format and dimensions of every array in the file."""


@dataclass(frozen=True)
class Episode:
    """Frames stay compressed. `actions` are linear m/s, lateral m/s, angular rad/s as commanded, one row per frame."""

    instruction: str
    stamps_ns: NDArray[np.int64]
    actions: NDArray[np.float32]
    jpegs: list[bytes]

    def __len__(self) -> int:
        return len(self.jpegs)

    @property
    def seconds(self) -> float:
        return float(self.stamps_ns[-1] - self.stamps_ns[0]) / 1e9 if len(self.stamps_ns) else 0.0

    def frames(self) -> Iterator[NDArray[Any]]:
        """Every picture as RGB."""
        for jpeg in self.jpegs:
            yield decompress(jpeg, "rgb8")


def write_episode(path: Path, episode: Episode) -> None:
    """The file is there complete or not at all."""
    ends = np.cumsum([len(jpeg) for jpeg in episode.jpegs], dtype=np.int64)
    with atomic_binary(path) as file:
        np.savez(
            file,
            instruction=np.frombuffer(episode.instruction.encode(), np.uint8),
            stamps_ns=episode.stamps_ns,
            actions=np.ascontiguousarray(episode.actions),
            jpeg_ends=ends,
            jpeg_bytes=np.frombuffer(b"".join(episode.jpegs), np.uint8),
        )


def read_episode(path: Path) -> Episode:
    """Raises `UserError` when the file is not one that `write_episode` wrote. Takes memory by its size on disk."""
    try:
        with os.fdopen(open_regular(path), "rb") as file, zipfile.ZipFile(file) as content:
            arrays = {name: _array(content, name) for name in _LAYOUT}
        ends, blob = arrays["jpeg_ends"], arrays["jpeg_bytes"].tobytes()
        text = arrays["instruction"].tobytes().decode()
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        why = str(error).strip("'\"") or "it ends early"
        raise UserError(f"{path} is not a readable episode ({why[:200]}); build the data set again") from error
    stamps, actions = arrays["stamps_ns"].copy(), arrays["actions"].copy()
    starts = [0, *ends[:-1].tolist()]
    if not len(ends) or not (len(stamps) == len(actions) == len(ends)) or actions.shape[1] != _AXES:
        raise UserError(f"{path} has not one stamp and one command per frame; build the data set again")
    if ends[-1] != len(blob) or np.any(ends < starts):
        raise UserError(f"{path} has pictures that lie outside of it; build the data set again")
    jpegs = [blob[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]
    return Episode(text, stamps, actions, jpegs)


def _array(content: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """One array, its size checked against the file before anything is allocated. Never unpickles."""
    dtype, dimensions = _LAYOUT[name]
    info = content.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    with content.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} has another format")
        try:
            shape, fortran, found = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise ValueError(f"{name} has a damaged header") from None
        if found != dtype or len(shape) != dimensions or (fortran and dimensions > 1):
            raise ValueError(f"{name} is not {dtype} in {dimensions} dimension{'s' * (dimensions > 1)}")
        data = file.read()
    if math.prod(shape) * found.itemsize != len(data):
        raise ValueError(f"{name} has {len(data)} bytes, its shape {shape} needs {math.prod(shape) * found.itemsize}")
    return np.frombuffer(data, found).reshape(shape)
