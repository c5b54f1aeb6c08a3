"""The records inside one mcap chunk, or one kind of error when it is damaged."""

from __future__ import annotations

import struct

import zstandard
from mcap.exceptions import McapError
from mcap.records import Chunk, McapRecord
from mcap.stream_reader import breakup_chunk

# what the decompressors (lz4 raises RuntimeError), the checksum and the parser raise on damaged bytes
_DAMAGE = (zstandard.ZstdError, RuntimeError, ValueError, EOFError, McapError, struct.error, KeyError, MemoryError)


class ChunkError(Exception):
    """A chunk that cannot be read."""


def records_of(chunk: Chunk) -> list[McapRecord]:
    """Schemas, channels and messages in file order, after checking the checksum."""
    try:
        return breakup_chunk(chunk, validate_crc=True)
    except _DAMAGE as error:
        raise ChunkError(str(error)) from error
