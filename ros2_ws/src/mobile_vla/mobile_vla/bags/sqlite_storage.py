"""One sqlite3 file in rosbag2's schema 4. Commits are what makes it survive: the recorder flushes every second."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from mobile_vla.bags.definitions import Definition
from mobile_vla.bags.metadata import qos_text
from mobile_vla.bags.types import Qos

_SCHEMA = """
CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL,
    offered_qos_profiles TEXT NOT NULL, type_description_hash TEXT NOT NULL);
CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, encoding TEXT NOT NULL,
    encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    data BLOB NOT NULL);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
"""
_SCHEMA_VERSION = 4


class SqliteStorage:
    """Implements `Storage`. sqlite3 errors are raised as OSError, so that callers know one kind."""

    def __init__(self, path: Path, version: int) -> None:
        self.path = path
        self._version = version
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level="DEFERRED")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)
        distribution = os.environ.get("ROS_DISTRO", "unknown")
        self._database.execute("INSERT INTO schema VALUES (?, ?)", (_SCHEMA_VERSION, distribution))
        self._database.commit()
        self._defined: set[str] = set()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def add_topic(self, name: str, message_type: str, definition: Definition, qos: Qos) -> int:
        if message_type not in self._defined:
            self._defined.add(message_type)
            self._execute(
                "INSERT INTO message_definitions(topic_type, encoding, encoded_message_definition,"
                " type_description_hash) VALUES (?, ?, ?, ?)",
                (message_type, definition.encoding, definition.text, definition.type_hash),
            )
        cursor = self._execute(
            "INSERT INTO topics(name, type, serialization_format, offered_qos_profiles, type_description_hash)"
            " VALUES (?, ?, 'cdr', ?, ?)",
            (name, message_type, qos_text(qos, self._version), definition.type_hash),
        )
        return int(cursor.lastrowid or 0)

    def write(self, topic_id: int, log_ns: int, data: bytes) -> None:
        self._execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)", (topic_id, log_ns, data))
        self._bytes += len(data)

    def flush(self) -> None:
        try:
            self._database.commit()
        except sqlite3.Error as error:
            raise OSError(str(error)) from error

    def close(self, metadata: str) -> None:
        self._execute("INSERT INTO metadata(metadata_version, metadata) VALUES (?, ?)", (self._version, metadata))
        self.flush()
        self._database.close()

    def salvage(self) -> dict[str, int]:
        self._database.rollback()
        rows = self._database.execute(
            "SELECT topics.name, count(*) FROM messages JOIN topics ON messages.topic_id = topics.id"
            " GROUP BY topics.name"
        ).fetchall()
        self._database.close()
        return {str(name): int(count) for name, count in rows}

    def _execute(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
