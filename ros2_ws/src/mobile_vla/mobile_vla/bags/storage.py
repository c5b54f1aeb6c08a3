"""What a rosbag2 storage file must be able to do; mcap and sqlite3 implement it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mobile_vla.bags.definitions import Definition
from mobile_vla.bags.types import Qos
from mobile_vla.errors import UserError


class StorageError(UserError):
    """The disk refused; what was written before is kept."""


class Storage(Protocol):
    """One storage file, open for writing. Not thread-safe. After a call raised OSError only `salvage` is allowed."""

    path: Path

    @property
    def size_bytes(self) -> int: ...

    def add_topic(self, name: str, message_type: str, definition: Definition, qos: Qos) -> int: ...

    def write(self, topic_id: int, log_ns: int, data: bytes) -> None: ...

    def flush(self) -> None:
        """After this a killed process loses nothing that was written before it."""

    def close(self, metadata: str) -> None:
        """Finish the file; `metadata` is the bag information as YAML."""

    def salvage(self) -> dict[str, int]:
        """After an OSError: make a valid file of what is on the disk; the messages in it by topic."""
