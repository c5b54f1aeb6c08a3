"""Episodes as plain numpy: one .npz per episode with decoded images, for people who bring their own loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mobile_vla.bags.dataset.manifest import Manifest
from mobile_vla.files import atomic_binary


def export(manifest: Manifest, folder: Path, on_episode: Callable[[str], None] = lambda name: None) -> list[Path]:
    """`images` uint8 (frames, height, width, 3), `actions` float32 (frames, 3), `stamps_ns`, `instruction`."""
    written = []
    for entry in manifest.episodes:
        episode = manifest.read(entry)
        path = folder / entry.split / Path(entry.file).name
        with atomic_binary(path) as file:
            np.savez_compressed(
                file,
                images=np.stack(list(manifest.pictures(entry, episode))),
                actions=episode.actions,
                stamps_ns=episode.stamps_ns,
                instruction=np.array(episode.instruction),
            )
        written.append(path)
        on_episode(path.name)
    return written
