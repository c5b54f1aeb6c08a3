"""Complete an unfinished mcap file: cut the incomplete record, append the index.

In place and without copying, so it works on a full disk (with a little reserve) and on files of any length.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Message,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from mobile_vla.bags.chunks import ChunkError, records_of
from mobile_vla.errors import UserError

_HEADER = struct.Struct("<BQ")
_MESSAGE_PREFIX = struct.Struct("<HIQ")
_KEPT = {
    Opcode.HEADER,
    Opcode.SCHEMA,
    Opcode.CHANNEL,
    Opcode.CHUNK,
    Opcode.MESSAGE_INDEX,
    Opcode.METADATA,
    Opcode.ATTACHMENT,
}


class Sealed(NamedTuple):
    """What a sealed file holds, and what was cut off its end."""

    messages: int
    cut_bytes: int
    counts: dict[str, int]
    """Messages by topic."""
    start_ns: int
    end_ns: int


class _Index:
    """Collects, record by record, what the summary section must say."""

    def __init__(self) -> None:
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        self.chunks: list[ChunkIndex] = []
        self.counts: dict[int, int] = defaultdict(int)
        self.unindexed: set[int] = set()
        """Channels of the last chunk whose message index has not been seen."""

    def enter(self, chunk: Chunk, start: int, length: int) -> None:
        """Take the schemas, channels and message counts from the inside of a chunk; raises when it is damaged."""
        counts: dict[int, int] = defaultdict(int)
        for record in records_of(chunk):
            if isinstance(record, Schema):
                self.schemas[record.id] = record
            elif isinstance(record, Channel):
                self.channels[record.id] = record
            elif isinstance(record, Message):
                counts[record.channel_id] += 1
        for channel_id, count in counts.items():
            self.counts[channel_id] += count
        self.unindexed = set(counts)
        self.chunks.append(
            ChunkIndex(
                chunk_start_offset=start,
                chunk_length=length,
                compression=chunk.compression,
                compressed_size=len(chunk.data),
                uncompressed_size=chunk.uncompressed_size,
                message_start_time=chunk.message_start_time,
                message_end_time=chunk.message_end_time,
                message_index_offsets={},
                message_index_length=0,
            )
        )

    def enter_message_index(self, record: MessageIndex, start: int, length: int) -> None:
        """A message index belongs to the chunk before it."""
        if self.chunks:
            self.chunks[-1].message_index_offsets[record.channel_id] = start
            self.chunks[-1].message_index_length += length
            self.unindexed.discard(record.channel_id)

    def summary(self, start: int) -> tuple[bytes, int]:
        """The summary section for a file whose data ends at `start`, and where its offset section begins."""
        builder = RecordBuilder()
        offsets: list[SummaryOffset] = []
        groups = (
            (Opcode.SCHEMA, list(self.schemas.values())),
            (Opcode.CHANNEL, list(self.channels.values())),
            (Opcode.STATISTICS, [self.statistics()]),
            (Opcode.CHUNK_INDEX, self.chunks),
        )
        for opcode, records in groups:
            begin = builder.count
            for record in records:
                record.write(builder)
            if records:
                offsets.append(
                    SummaryOffset(group_opcode=opcode, group_start=start + begin, group_length=builder.count - begin)
                )
        offset_start = start + builder.count
        for offset in offsets:
            offset.write(builder)
        return bytes(builder.end()), offset_start  # type: ignore[no-untyped-call]

    def statistics(self) -> Statistics:
        return Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts=dict(self.counts),
            chunk_count=len(self.chunks),
            message_count=sum(self.counts.values()),
            message_start_time=min((chunk.message_start_time for chunk in self.chunks), default=0),
            message_end_time=max((chunk.message_end_time for chunk in self.chunks), default=0),
            metadata_count=0,
            schema_count=len(self.schemas),
        )


def seal(path: Path) -> Sealed:
    """Make `path` a complete mcap file; a file that already is complete stays as it is.

    Chunks are kept up to the first one that is incomplete or fails its checksum.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise UserError(f"{path} is not an mcap file; nothing in it can be recovered")
        index = _Index()
        end, complete = _scan(file, size, index)
        if not complete:
            file.seek(end)
            file.truncate()
            end = _complete_last_chunk(file, end, index)
            file.seek(end)
            _write_end(file, end, index)
            os.fsync(file.fileno())
    statistics = index.statistics()
    counts: dict[str, int] = defaultdict(int)
    for channel_id, count in index.counts.items():
        counts[index.channels[channel_id].topic] += count
    cut = 0 if complete else max(0, size - end)
    return Sealed(
        statistics.message_count, cut, dict(counts), statistics.message_start_time, statistics.message_end_time
    )


def _scan(file: BinaryIO, size: int, index: _Index) -> tuple[int, bool]:
    """Walk over the records; where the good part ends, and whether the file has its end already."""
    good = file.tell()
    while True:
        start = file.tell()
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return good, False
        opcode, length = _HEADER.unpack(header)
        body = start + _HEADER.size
        if opcode == Opcode.DATA_END:
            file.seek(size - len(MCAP0_MAGIC))
            return start, file.read() == MCAP0_MAGIC
        if opcode not in _KEPT or body + length > size:
            return good, False
        if opcode == Opcode.CHUNK:
            if not _read_chunk(file, start, length, index):
                return good, False
        elif opcode == Opcode.MESSAGE_INDEX:
            index.enter_message_index(MessageIndex.read(_stream(file, length)), start, _HEADER.size + length)
        elif opcode == Opcode.SCHEMA:
            schema = Schema.read(_stream(file, length))
            index.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(_stream(file, length))
            index.channels[channel.id] = channel
        file.seek(body + length)
        good = body + length


def _read_chunk(file: BinaryIO, start: int, length: int, index: _Index) -> bool:
    """Enter a chunk into the index; False when it is damaged."""
    try:
        index.enter(Chunk.read(_stream(file, length)), start, _HEADER.size + length)
    except ChunkError:
        return False
    return True


def _complete_last_chunk(file: BinaryIO, end: int, index: _Index) -> int:
    """Write the message index of a chunk that lost (part of) it; where the file ends then."""
    if not index.unindexed:
        return end
    chunk = index.chunks[-1]
    file.seek(chunk.chunk_start_offset + _HEADER.size)
    stream, size = get_chunk_data_stream(Chunk.read(_stream(file, chunk.chunk_length - _HEADER.size)))
    entries: dict[int, list[tuple[int, int]]] = defaultdict(list)
    while stream.count < size:
        offset = stream.count
        opcode, length = _HEADER.unpack(stream.read(_HEADER.size))
        body = stream.read(length)
        if opcode == Opcode.MESSAGE:
            channel_id, _, log_ns = _MESSAGE_PREFIX.unpack_from(body)
            entries[channel_id].append((log_ns, offset))
    at = chunk.chunk_start_offset + chunk.chunk_length
    file.seek(at)
    file.truncate()
    chunk.message_index_offsets.clear()
    chunk.message_index_length = 0
    for channel_id, records in entries.items():
        builder = RecordBuilder()
        record = MessageIndex(channel_id=channel_id, records=records)
        record.write(builder)
        data = bytes(builder.end())  # type: ignore[no-untyped-call]
        file.write(data)
        index.enter_message_index(record, at, len(data))
        at += len(data)
    return at


def _stream(file: BinaryIO, length: int) -> ReadDataStream:
    return ReadDataStream(BytesIO(file.read(length)))


def _write_end(file: BinaryIO, start: int, index: _Index) -> None:
    builder = RecordBuilder()
    DataEnd(0).write(builder)
    data_end = bytes(builder.end())  # type: ignore[no-untyped-call]
    summary_start = start + len(data_end)
    summary, offset_start = index.summary(summary_start)
    prefix = struct.pack("<BQQQ", Opcode.FOOTER, 20, summary_start, offset_start)
    Footer(summary_start, offset_start, zlib.crc32(prefix, zlib.crc32(summary))).write(builder)
    footer = bytes(builder.end())  # type: ignore[no-untyped-call]
    file.write(data_end + summary + footer + MCAP0_MAGIC)
