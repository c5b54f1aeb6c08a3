"""manifest.json: what a data set holds, where it came from, how it is split, its statistics."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mobile_vla.bags.dataset.episode import Episode, read_episode
from mobile_vla.errors import UserError

FILE_NAME = "manifest.json"
FORMAT = 1
SPLITS = ("train", "val", "test")


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

    def read(self, entry: EpisodeEntry) -> Episode:
        return read_episode(self.folder / entry.file)

    def save(self) -> None:
        content = {"format": FORMAT, **{key: value for key, value in asdict(self).items() if key != "folder"}}
        temporary = self.folder / f".{FILE_NAME}.part"
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.folder / FILE_NAME)


def load_manifest(folder: Path) -> Manifest:
    """Raises `UserError` when the folder is not a data set of this format."""
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise UserError(f"{path} has another format than {FORMAT}; build the data set again")
        entries = [EpisodeEntry(**entry) for entry in content.pop("episodes")]
        return Manifest(folder=folder, episodes=entries, **content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{folder} is not a data set ({FILE_NAME}: {why}); build one with `vla dataset build`"
        ) from error
