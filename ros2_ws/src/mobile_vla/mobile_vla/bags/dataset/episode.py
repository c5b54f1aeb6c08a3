"""One episode on disk: JPEG frames and the commands given at them, in one .npz file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobile_vla.camera.encodings import decompress
from mobile_vla.errors import UserError


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
    """Write in one step: the file is there whole or not at all."""
    ends = np.cumsum([len(jpeg) for jpeg in episode.jpegs], dtype=np.int64)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        np.savez(
            file,
            instruction=np.frombuffer(episode.instruction.encode(), np.uint8),
            stamps_ns=episode.stamps_ns,
            actions=episode.actions,
            jpeg_ends=ends,
            jpeg_bytes=np.frombuffer(b"".join(episode.jpegs), np.uint8),
        )
    temporary.replace(path)


def read_episode(path: Path) -> Episode:
    """Raises `UserError` when the file is not one that `write_episode` wrote."""
    try:
        with np.load(path, allow_pickle=False) as content:
            ends, blob = content["jpeg_ends"], content["jpeg_bytes"].tobytes()
            starts = [0, *ends[:-1].tolist()]
            jpegs = [blob[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]
            text = content["instruction"].tobytes().decode()
            return Episode(text, content["stamps_ns"], content["actions"], jpegs)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a readable episode ({error}); build the data set again") from error
