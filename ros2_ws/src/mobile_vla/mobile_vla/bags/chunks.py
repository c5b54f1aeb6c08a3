"""The records of an mcap file and of its chunks, or one kind of error when they are damaged."""

from __future__ import annotations

import struct
from io import BytesIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import breakup_chunk

# what the decompressors (lz4 raises RuntimeError), the checksum and the parser raise on damaged bytes
_DAMAGE = (zstandard.ZstdError, RuntimeError, ValueError, EOFError, McapError, struct.error, KeyError, MemoryError)


class ChunkError(Exception):
    """A chunk or another record that cannot be read."""


def records_of(chunk: Chunk) -> list[McapRecord]:
    """Schemas, channels and messages in file order, after checking the checksum."""
    try:
        return breakup_chunk(chunk, validate_crc=True)
    except _DAMAGE as error:
        raise ChunkError(str(error)) from error


def record_of(opcode: int, body: bytes) -> McapRecord:
    """One schema, channel, message or chunk."""
    stream = ReadDataStream(BytesIO(body))
    try:
        if opcode == Opcode.MESSAGE:
            record: McapRecord = Message.read(stream, len(body))
        elif opcode == Opcode.SCHEMA:
            record = Schema.read(stream)
        else:
            record = Channel.read(stream) if opcode == Opcode.CHANNEL else Chunk.read(stream)
    except _DAMAGE as error:
        raise ChunkError(str(error)) from error
    return record
