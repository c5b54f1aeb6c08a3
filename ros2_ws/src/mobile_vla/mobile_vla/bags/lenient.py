"""Reads damaged storage files: returns what is readable and counts the rest."""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.writer import MCAP0_MAGIC

from mobile_vla.bags.bag_types import plain_type
from mobile_vla.bags.chunks import ChunkError, record_of, records_of
from mobile_vla.bags.sqlite_tables import foreign_tables
from mobile_vla.bags.types import CDR, RawMessage

_HEADER = struct.Struct("<BQ")
_LARGEST_RECORD = 1 << 32


class LenientFile:
    """One storage file. Iterate `messages()` to its end, then `bytes_lost` and `reason` say what was missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes_total = path.stat().st_size
        self.bytes_lost = 0
        self.reason = ""
        self.definitions: dict[str, str] = {}
        """Message definitions by type, as far as the file has them."""
        self.encodings: dict[str, str] = {}
        """The language of a type's definition."""
        self.formats: dict[str, str] = {}
        """Serialization format by topic, where it is not CDR."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """Messages by (topic, type)."""

    def messages(self) -> Iterator[RawMessage]:
        """Every readable message, in log order within each piece of the file."""
        self.bytes_lost, self.reason = 0, ""
        self.counts.clear()
        source = self._sqlite() if self.path.suffix == ".db3" else self._mcap()
        for message in source:
            self.counts[message.topic, message.type] += 1
            yield message

    def _note_damage(self, size: int, reason: str) -> None:
        self.bytes_lost += size
        self.reason = self.reason or f"{self.path.name} {reason}"

    def _mcap(self) -> Iterator[RawMessage]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        with self.path.open("rb") as file:
            if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
                self._note_damage(self.bytes_total, "does not start as an mcap file")
                return
            for record in self._mcap_records(file):
                if isinstance(record, Schema):
                    schemas[record.id] = record
                    kind = plain_type(record.name)
                    self.definitions[kind] = record.data.decode("utf-8", "replace")
                    self.encodings[kind] = record.encoding
                elif isinstance(record, Channel):
                    channels[record.id] = record
                    if record.message_encoding not in ("", CDR):
                        self.formats[record.topic] = record.message_encoding
                elif isinstance(record, Message) and record.channel_id in channels:
                    channel = channels[record.channel_id]
                    kind = plain_type(schemas[channel.schema_id].name) if channel.schema_id in schemas else ""
                    yield RawMessage(channel.topic, kind, record.log_time, record.data)

    def _mcap_records(self, file: BinaryIO) -> Iterator[McapRecord]:
        """Schemas, channels and messages in file order; a damaged chunk is skipped, a broken end is the end."""
        while True:
            start = file.tell()
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                self._note_damage(len(header), "ends in the middle, it was never finished")
                return
            opcode, length = _HEADER.unpack(header)
            if opcode == Opcode.DATA_END:
                return
            body_end = start + _HEADER.size + length
            if (
                length > _LARGEST_RECORD
                or body_end > self.bytes_total
                or not Opcode.HEADER <= opcode <= Opcode.DATA_END
            ):
                self._note_damage(self.bytes_total - start, f"is cut off or overwritten at byte {start}")
                return
            if opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK):
                try:
                    record = record_of(opcode, file.read(length))
                    records = records_of(record) if isinstance(record, Chunk) else [record]
                except ChunkError:
                    self._note_damage(
                        length, f"has a damaged {'chunk' if opcode == Opcode.CHUNK else 'record'} at byte {start}"
                    )
                    records = []
                yield from (record for record in records if not isinstance(record, Message))
                yield from sorted((r for r in records if isinstance(r, Message)), key=lambda message: message.log_time)
            file.seek(body_end)

    def _sqlite(self) -> Iterator[RawMessage]:
        read = 0
        try:
            database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
            database.execute("PRAGMA writable_schema = ON")  # else a file shorter than its header says is refused whole
            if foreign := foreign_tables(database):
                self._note_damage(self.bytes_total, f"is not what rosbag2 writes: {foreign}")
                return
            topics = {}
            for number, *words in database.execute("SELECT id, name, type, serialization_format FROM topics"):
                if all(isinstance(word, str) for word in words):
                    topic, kind, form = words
                    topics[number] = (topic, plain_type(kind))
                    if form != CDR:
                        self.formats[topic] = form
            for topic_id, log_ns, data in database.execute(
                "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
            ):
                if not isinstance(data, bytes) or not isinstance(log_ns, int):
                    self._note_damage(len(str(data)), "has messages that are not bytes with a time")
                elif topic_id in topics:
                    read += len(data)
                    if read > self.bytes_total:  # pages that are listed again and again
                        self._note_damage(0, "is damaged (it holds more than its size)")
                        return
                    yield RawMessage(*topics[topic_id], log_ns, data)
            database.close()
        except sqlite3.Error as error:
            self._note_damage(max(0, self.bytes_total - read), f"is damaged ({error})")
