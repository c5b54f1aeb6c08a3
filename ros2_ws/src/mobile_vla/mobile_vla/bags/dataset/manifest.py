"""manifest.json: what a data set holds, where it came from, how it is split, its statistics."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from mobile_vla.bags.dataset.episode import Episode, read_episode
from mobile_vla.errors import UserError
from mobile_vla.files import FileError, read_text, write_text

FILE_NAME = "manifest.json"
FORMAT = 1
SPLITS = ("train", "val", "test")
# 50,000 episodes
_MAX_BYTES = 16 << 20
_MAX_SIDE = 16384


@dataclass(frozen=True)
class EpisodeEntry:
    """One episode; `file` is relative to the data set."""

    file: str
    split: str
    bag: str
    start_ns: int
    end_ns: int
    frames: int
    instruction: str


@dataclass
class Manifest:
    """The whole data set. `built` says with which settings, `statistics` are over the training split."""

    folder: Path
    width: int
    height: int
    built: dict[str, Any]
    episodes: list[EpisodeEntry] = field(default_factory=list)
    statistics: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    """Frames that are not in any episode, by reason."""
    damage: list[str] = field(default_factory=list)
    """What could not be read of the bags, in sentences."""

    def of_split(self, split: str) -> list[EpisodeEntry]:
        return [entry for entry in self.episodes if entry.split == split]

    def missing_split(self) -> str:
        """One sentence when there is nothing to train on, or nothing to measure the training on; else empty."""
        for split in ("train", "val"):
            if not self.of_split(split):
                return (
                    f"{self.folder} has no {split} episodes, and training needs both train and val; record at least "
                    f"{len(SPLITS)} episodes and build it again with --val-share above 0"
                )
        return ""

    def read(self, entry: EpisodeEntry) -> Episode:
        return read_episode(self.folder / entry.file)

    def pictures(self, entry: EpisodeEntry, episode: Episode) -> Iterator[NDArray[Any]]:
        """Every picture as RGB, of the size that the data set has."""
        for number, picture in enumerate(episode.frames()):
            if picture.shape != (self.height, self.width, 3):
                raise UserError(
                    f"{self.folder / entry.file}: picture {number} is {picture.shape[1]}x{picture.shape[0]}, those of "
                    f"the data set are {self.width}x{self.height}; build it again"
                )
            yield picture

    def save(self) -> None:
        content = {"format": FORMAT, **{key: value for key, value in asdict(self).items() if key != "folder"}}
        write_text(self.folder / FILE_NAME, json.dumps(content, indent=1) + "\n")


def load_manifest(folder: Path) -> Manifest:
    """Raises `UserError` when the folder is not a data set of this format."""
    path = folder / FILE_NAME
    try:
        content = json.loads(read_text(path, _MAX_BYTES))
        if content.pop("format") != FORMAT:
            raise UserError(f"{path} has another format than {FORMAT}; build the data set again")
        entries = [_entry(entry) for entry in content.pop("episodes")]
        manifest = Manifest(folder=folder, episodes=entries, **content)
        if not all(type(side) is int and 0 < side <= _MAX_SIDE for side in (manifest.width, manifest.height)):
            raise ValueError(f"pictures of {manifest.width!r:.20} x {manifest.height!r:.20}")
        if not all(isinstance(each, dict) for each in (manifest.built, manifest.statistics, manifest.left_out)):
            raise TypeError("built, statistics and left_out must be groups")
    except FileError as error:
        why = os.strerror(error.__cause__.errno or 0) if isinstance(error.__cause__, OSError) else str(error)
    except RecursionError:
        why = "nested too deeply"
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        why = str(error)[:200]
    else:
        return manifest
    raise UserError(f"{folder} is not a data set ({FILE_NAME}: {why}); build one with `vla dataset build`")


def _entry(values: Any) -> EpisodeEntry:
    """One episode as the file has it: everything of its type, and inside the data set."""
    entry = EpisodeEntry(**values)
    for name, kind in (("file", str), ("split", str), ("bag", str), ("instruction", str)):
        if not isinstance(getattr(entry, name), kind):
            raise TypeError(f"{name} must be a text, got {getattr(entry, name)!r:.40}")
    for name in ("start_ns", "end_ns", "frames"):
        if type(getattr(entry, name)) is not int:
            raise TypeError(f"{name} must be a whole number, got {getattr(entry, name)!r:.40}")
    place = PurePosixPath(entry.file)
    if place.is_absolute() or ".." in place.parts or not place.parts or not entry.file.isprintable():
        raise ValueError(f"the episode {entry.file[:60]!a} does not lie in the data set")
    if entry.split not in SPLITS:
        raise ValueError(f"the split {entry.split[:40]!a} is none of {', '.join(SPLITS)}")
    return entry
