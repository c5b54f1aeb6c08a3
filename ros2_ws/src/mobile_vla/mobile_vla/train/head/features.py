"""Features of the frozen towers for every frame of a data set, computed once and cached on disk.

The cache's name is made of everything a feature depends on: the weights, the card's image and text settings, and the
episode's bytes. So a changed checkpoint never meets old features, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobile_vla.bags.dataset.episode import Episode
from mobile_vla.bags.dataset.manifest import EpisodeEntry, Manifest
from mobile_vla.engine.load import Loaded
from mobile_vla.engine.torch_engine import TorchExecutor
from mobile_vla.files import atomic_binary
from mobile_vla.policy.preprocess import Preparation

BATCH = 16


class Encoded(NamedTuple):
    """One episode as the head sees it: features (frames, width) and recorded commands (frames, 3)."""

    entry: EpisodeEntry
    features: Tensor
    actions: NDArray[np.float32]


class FeatureCache:
    """Features of one checkpoint over one data set."""

    def __init__(self, loaded: Loaded, weights_sha256: str, folder: Path) -> None:
        card = loaded.card
        self._executor = TorchExecutor(loaded, torch.get_num_threads())
        self._prepare = Preparation(card.kosmos_image, card.clip_image)
        text = repr((weights_sha256, loaded.dtype, card.features, card.kosmos_image, card.clip_image))
        text += repr((card.prompt, card.clip_prompt, card.tokenizers, card.towers))
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._folder = folder / self.key
        self.computed = 0
        """Episodes that were not in the cache."""

    def load(
        self, manifest: Manifest, split: str, on_episode: Callable[[str], None] = lambda name: None
    ) -> list[Encoded]:
        """Every episode of a split, from the cache where it is there."""
        encoded = []
        for entry in manifest.of_split(split):
            features, actions = self._one(manifest, entry)
            encoded.append(Encoded(entry, features, actions))
            on_episode(entry.file)
        return encoded

    def _one(self, manifest: Manifest, entry: EpisodeEntry) -> tuple[Tensor, NDArray[np.float32]]:
        content = hashlib.sha256((manifest.folder / entry.file).read_bytes()).hexdigest()[:16]
        path = self._folder / f"{content}.npy"
        episode = manifest.read(entry)
        if path.exists():
            return torch.from_numpy(np.load(path)), episode.actions
        features = self._compute(episode)
        with atomic_binary(path) as file:
            np.save(file, features.numpy())
        self.computed += 1
        return features, episode.actions

    def _compute(self, episode: Episode) -> Tensor:
        rows = [
            self._executor.features([self._prepare(frame) for frame in frames], episode.instruction).float().cpu()
            for frames in _batches(episode.frames())
        ]
        return torch.cat(rows)


def _batches(frames: Iterator[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    batch: list[NDArray[np.uint8]] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
