"""Where a recorder's bags go: names, topics, free space.

Any thread may call: the recorder's worker and a save of the ring both open bags.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import SUFFIX, BagWriter
from mobile_vla.errors import UserError
from mobile_vla.files import expanded

_NAME_FORMAT = "vla_%Y%m%d_%H%M%S"


class Announced(NamedTuple):
    """A topic that may be recorded."""

    name: str
    type: str
    qos: Qos


class BagFolder:
    """Opens one bag after the other. Free space and wall time are arguments."""

    def __init__(
        self,
        config: RecorderConfig,
        share_dirs: Iterable[Path] = (),
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._config = config
        self._share_dirs = tuple(share_dirs)
        self._free_bytes = free_bytes
        self._wall = wall
        self._folder = expanded(config.out_dir)
        self._lock = threading.Lock()
        self._topics: dict[str, Announced] = {}
        self._undefined: set[str] = set()
        if config.name and (self._folder / config.name).exists():
            raise UserError(f"{self._folder / config.name} exists already; choose another name or remove it")

    def announce(self, topic: Announced) -> None:
        with self._lock:
            self._topics[topic.name] = topic

    def type_of(self, topic: str) -> str:
        """The message type that was announced."""
        return self._topics[topic].type

    @property
    def latched(self) -> list[str]:
        """Topics whose newest message still holds later."""
        with self._lock:
            return [topic.name for topic in self._topics.values() if topic.qos.durability == "transient_local"]

    @property
    def undefined(self) -> tuple[str, ...]:
        """Topics whose message definition was not found."""
        with self._lock:
            return tuple(sorted(self._undefined))

    def open(self) -> BagWriter:
        """A new bag with every topic known by now. Raises `UserError`."""
        bag = BagWriter(
            self._next_path(),
            storage=self._config.storage,
            compression=self._config.compression,
            chunk_kb=self._config.chunk_kb,
            split_mb=self._config.split_mb,
            split_s=self._config.split_s,
            metadata_version=self._config.metadata_version,
            share_dirs=self._share_dirs,
        )
        with self._lock:
            topics = tuple(self._topics)
        for topic in topics:
            self.add_topic(bag, topic)
        return bag

    def add_topic(self, bag: BagWriter, topic: str) -> None:
        """Let a bag know a topic; one that it knows already costs nothing."""
        known = self._topics[topic]
        if not bag.add_topic(known.name, known.type, known.qos):
            with self._lock:
                self._undefined.add(known.name)

    def low_space(self) -> str:
        """One sentence when the disk has too little left, else empty."""
        free_mb, limit = self._free_bytes(self._folder) // 1_000_000, self._config.min_free_mb
        if free_mb >= limit:
            return ""
        return f"{self._folder} has {free_mb} MB left, the limit is {limit} MB; free space and start again"

    def _next_path(self) -> Path:
        """The configured name; with a number behind it when a killed recorder's bag is still in its place."""
        name = self._config.name or self._wall().strftime(_NAME_FORMAT)
        path, number = self._folder / name, 1
        while path.exists() or path.with_name(path.name + SUFFIX).exists():
            number += 1
            path = self._folder / f"{name}-{number}"
        return path
