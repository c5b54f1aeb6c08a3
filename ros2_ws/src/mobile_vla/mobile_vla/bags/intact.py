"""Intact bags, through `rosbags`: rosbag2 folders, single mcap and sqlite3 files, ROS 1 bags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2

from mobile_vla.bags.bag_types import IDL, MSG, BagTypes, plain_type
from mobile_vla.bags.storage_files import storage_files
from mobile_vla.bags.types import CDR, Qos, RawMessage, TopicInfo

_ENCODINGS = {MessageDefinitionFormat.MSG: MSG, MessageDefinitionFormat.IDL: IDL}


class DamagedBagError(Exception):
    """`rosbags` refuses the bag, or gave up in the middle of it. The text is what it said."""


class IntactBag:
    """An open bag with its index. Only `DamagedBagError` leaves it, whatever the bytes are."""

    def __init__(self, path: Path) -> None:
        try:
            self._reader: Reader1 | Reader2 = Reader1(path) if path.suffix == ".bag" else Reader2(path)
            self._reader.open()
        except Exception as error:
            raise _damaged(error) from error
        self.message_count: int = self._reader.message_count
        self.start_ns, self.end_ns = 0, 0
        if self.message_count:
            self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time - 1
        self._connections = list(self._reader.connections)
        self._stored = _stored(path) or self._connections
        self.topics: dict[str, TopicInfo] = {}
        self.formats: dict[str, str] = {}
        """Serialization format by topic, where it is not CDR."""
        for connection in self._connections:
            self._list(connection)

    def teach(self, types: BagTypes) -> None:
        """Hand over the definitions in the bag."""
        for connection in self._connections:
            encoding = _ENCODINGS.get(connection.msgdef.format)
            if encoding is not None:
                types.learn(plain_type(connection.msgtype), connection.msgdef.data, encoding, connection.digest)

    def messages(self, topics: set[str], start_ns: int | None, end_ns: int | None) -> Iterator[RawMessage]:
        """In log order."""
        wanted = [connection for connection in self._stored if connection.topic in topics]
        if not wanted:
            return
        kinds = {connection.msgtype: plain_type(connection.msgtype) for connection in wanted}
        try:
            for connection, log_ns, data in self._reader.messages(wanted, start=start_ns, stop=end_ns):
                if not isinstance(data, (bytes, memoryview)) or not isinstance(log_ns, int):
                    raise TypeError(f"{connection.topic} has a message that is not bytes with a time")
                yield RawMessage(connection.topic, kinds[connection.msgtype], log_ns, data)
        except Exception as error:
            raise _damaged(error) from error

    def close(self) -> None:
        self._reader.close()

    def _list(self, connection: Connection) -> None:
        extension, known = connection.ext, self.topics.get(connection.topic)
        qos = _qos(extension) if isinstance(extension, ConnectionExtRosbag2) else None
        self.topics[connection.topic] = TopicInfo(
            connection.topic,
            known.type if known else plain_type(connection.msgtype),
            connection.msgcount + (known.messages if known else 0),
            known.qos if known else qos,
        )
        if isinstance(extension, ConnectionExtRosbag2) and extension.serialization_format not in ("", CDR):
            self.formats[connection.topic] = extension.serialization_format


def _stored(path: Path) -> list[Connection]:
    """The connections as the storage files of a folder describe them.

    `rosbags` leaves out, without a word, a topic whose QoS or type reads otherwise in metadata.yaml, as after
    `ros2 bag reindex` or a recovery; asked for by the files' own words it reads every topic.
    """
    if not path.is_dir():
        return []
    found: list[Connection] = []
    for file in storage_files(path):
        try:
            with Reader2(file) as reader:
                found += reader.connections
        except Exception as error:
            raise _damaged(error) from error
    return found


def _damaged(error: Exception) -> DamagedBagError:
    """The parsers, decompressors and databases below each raise their own on damaged bytes."""
    return DamagedBagError(next(iter(str(error).splitlines()), "") or type(error).__name__)


def _qos(extension: ConnectionExtRosbag2) -> Qos | None:
    """The first offered profile in plain words."""
    for profile in extension.offered_qos_profiles:
        return Qos(
            profile.reliability.name.lower(),
            profile.durability.name.lower(),
            profile.history.name.lower(),
            profile.depth,
        )
    return None
