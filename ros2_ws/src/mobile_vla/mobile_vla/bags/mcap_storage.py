"""One mcap file, written by the `mcap` library.

Why not the writer of `rosbags`: it cannot flush (a killed recorder would lose what its chunk holds), writes no chunk
checksums (damage could not be told from data), has a fixed 1 MiB chunk (a single frame here) and one file per bag.
"""

from __future__ import annotations

import os
from pathlib import Path

from mcap.writer import CompressionType, Writer

from mobile_vla.bags.definitions import Definition
from mobile_vla.bags.mcap_seal import seal
from mobile_vla.bags.metadata import qos_text
from mobile_vla.bags.types import Qos

_COMPRESSION = {"zstd": CompressionType.ZSTD, "lz4": CompressionType.LZ4, "none": CompressionType.NONE}


class _Unbuffered:
    """A file without a buffer: what was written survives the death of this process. `seal` cuts a failed write off."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._offset = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += os.write(self._descriptor, view[done:])
        self._offset += done
        return done

    def tell(self) -> int:
        return self._offset

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class McapStorage:
    """Implements `Storage`."""

    def __init__(self, path: Path, version: int, compression: str = "zstd", chunk_kb: int = 4096) -> None:
        self.path = path
        self._version = version
        self._stream = _Unbuffered(path)
        self._writer = Writer(self._stream, chunk_size=chunk_kb * 1024, compression=_COMPRESSION[compression])  # type: ignore[arg-type]
        self._writer.start(profile="ros2", library="mobile_vla")
        self._schemas: dict[str, int] = {}

    @property
    def size_bytes(self) -> int:
        return self._stream.tell()

    def add_topic(self, name: str, message_type: str, definition: Definition, qos: Qos) -> int:
        if message_type not in self._schemas:
            text = definition.text.encode()
            self._schemas[message_type] = self._writer.register_schema(message_type, definition.encoding, text)
        metadata = {"offered_qos_profiles": qos_text(qos, self._version), "topic_type_hash": definition.type_hash}
        return self._writer.register_channel(name, "cdr", self._schemas[message_type], metadata)

    def write(self, topic_id: int, log_ns: int, data: bytes) -> None:
        self._writer.add_message(topic_id, log_ns, data, publish_time=log_ns)

    def flush(self) -> None:
        self._writer.flush()  # type: ignore[no-untyped-call]

    def close(self, metadata: str) -> None:
        self._writer.add_metadata("rosbag2", {"serialized_metadata": metadata})
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._stream.close()

    def salvage(self) -> dict[str, int]:
        self._stream.close()
        return seal(self.path).counts
