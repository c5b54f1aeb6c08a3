"""One bag, whatever its kind and state, as typed streams. Needs no ROS.

Sound bags go through `rosbags` (rosbag2 mcap and sqlite3, ROS 1). What that refuses is read by `lenient`, and
`damage` says how much is missing. Memory does not grow with the length of the bag.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag1 import ReaderError as Bag1Error
from rosbags.rosbag2 import ReaderError as Bag2Error
from rosbags.serde import SerdeError
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.store import Typestore

from mobile_vla.bags.convert import DecodeError, decode
from mobile_vla.bags.damage import Damage, Undecodable
from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.lenient import LenientFile
from mobile_vla.bags.recover import storage_files
from mobile_vla.bags.roles import Roles
from mobile_vla.bags.types import Event, Qos, RawMessage, TopicInfo
from mobile_vla.errors import UserError

_READ_ERRORS = (AnyReaderError, Bag1Error, Bag2Error, FileNotFoundError, AssertionError, ValueError, EOFError, OSError)


class BagReader:
    """Opens a bag folder, a `.recording` folder, or a single .mcap, .db3 or .bag file. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: Damage | None = None
        """Set when something could not be read: known at once for most kinds, else after reading to the end."""
        self.undecodable = Undecodable()
        """Of the newest `events`."""
        self.start_ns = 0
        self.end_ns = 0
        """Log times of the first and last message."""
        self.topics: dict[str, TopicInfo] = {}
        self.ros1 = path.suffix == ".bag"
        self._sound: AnyReader | None = None
        self._files: list[LenientFile] = []
        self._types: Typestore = standard_types()
        self._expected: int | None = None
        if not path.exists():
            raise UserError(f"there is no bag at {path}; check the path")
        if path.is_file() and path.stat().st_size == 0:
            raise UserError(f"{path} is an empty file (0 bytes); record or copy it again")
        self._open()
        if not any(topic.messages for topic in self.topics.values()):
            self.close()
            raise UserError(
                f"{path} holds no messages{f' ({self.damage.sentence})' if self.damage else ''}; record it again"
            )

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def message_count(self) -> int:
        return sum(topic.messages for topic in self.topics.values())

    def raw(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RawMessage]:
        """Messages in log order (damaged files: nearly), of all topics unless named, with start <= log time < end."""
        if self._sound is None:
            yield from self._lenient(topics, start_ns, end_ns)
            return
        last_ns, at_last = -(2**62), 0
        try:
            for message in self._sound_messages(self._sound, topics, start_ns, end_ns):
                at_last = at_last + 1 if message.log_ns == last_ns else 1
                last_ns = message.log_ns
                yield message
        except _READ_ERRORS:
            self._become_lenient()
            for message in self._lenient(topics, max(last_ns, start_ns or last_ns), end_ns):
                if message.log_ns == last_ns and at_last > 0:
                    at_last -= 1
                else:
                    yield message

    def events(self, roles: Roles, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[Event]:
        """The messages of the given roles as typed tuples, in log order. `undecodable` counts what is skipped."""
        by_topic = {topic: role for role, topic in roles._asdict().items() if topic is not None}
        self.undecodable = undecodable = Undecodable()
        for message in self.raw(by_topic, start_ns, end_ns):
            undecodable.read[message.topic] += 1
            try:
                yield from decode(by_topic[message.topic], message, self.ros1, self.message)
            except DecodeError as error:
                undecodable.skip(message.topic, (message.log_ns - self.start_ns) / 1e9, str(error))

    def message(self, data: bytes, message_type: str) -> Any:
        """Any message, decoded by its definition in the bag."""
        if self.ros1:
            return self._types.deserialize_ros1(data, message_type)
        return self._types.deserialize_cdr(data, message_type)

    def flaw(self, message: RawMessage) -> str:
        """Why a message cannot be decoded; empty when it can, or when nothing says what its type looks like."""
        if message.type not in self._types.fielddefs:
            return ""
        try:
            self.message(message.data, message.type)
        except SerdeError as error:
            return f"not a {message.type}{f': {error}' if str(error) else ''}"
        return ""

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()
            self._sound = None

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        reader = None
        try:
            reader = AnyReader([self.path], default_typestore=standard_types())
            reader.open()
        except _READ_ERRORS as error:
            if self.ros1:
                raise UserError(
                    f"{self.path} cannot be read ({error}); run `rosbag reindex` on it where ROS 1 is at hand"
                ) from error
            self._files = self._find_files()
            self._take_stock()
            return
        self._sound = reader
        self._types = reader.typestore
        if reader.message_count:
            self.start_ns, self.end_ns = reader.start_time, reader.end_time - 1
        self._expected = reader.message_count
        for name, info in reader.topics.items():
            extension = info.connections[0].ext
            qos = _qos(extension) if isinstance(extension, ConnectionExtRosbag2) else None
            self.topics[name] = TopicInfo(name, info.msgtype or info.connections[0].msgtype, info.msgcount, qos)

    def _find_files(self) -> list[LenientFile]:
        paths = storage_files(self.path) if self.path.is_dir() else [self.path]
        if not paths or any(path.suffix not in (".mcap", ".db3") for path in paths):
            raise UserError(f"{self.path} is not a bag: expected a rosbag2 folder, or an .mcap, .db3 or .bag file")
        return [LenientFile(path) for path in paths]

    def _take_stock(self) -> None:
        """Read everything once: which topics there are, from when to when, and what is lost."""
        start, end, counts = 2**63, 0, dict.fromkeys(self.topics, 0)
        kinds = {topic.name: topic.type for topic in self.topics.values()}
        for file in self._files:
            for message in file.messages():
                start, end = min(start, message.log_ns), max(end, message.log_ns)
                counts[message.topic] = counts.get(message.topic, 0) + 1
                kinds[message.topic] = message.type
            self._learn_types(file.definitions)
        self.topics = {name: TopicInfo(name, kinds[name], count, None) for name, count in counts.items()}
        self.start_ns, self.end_ns = (start, end) if end else (0, 0)
        read = self.message_count
        reasons = tuple(file.reason for file in self._files if file.reason) or (self._unfinished(),)
        lost, total = sum(file.bytes_lost for file in self._files), sum(file.bytes_total for file in self._files)
        self.damage = Damage(reasons, read, self._expected or self._listed_count(), lost, total)

    def _unfinished(self) -> str:
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            return f"{self.path.name} has no metadata.yaml"
        return f"{self.path.name} has no usable index"

    def _listed_count(self) -> int | None:
        """How many messages metadata.yaml promises."""
        try:
            information = yaml.safe_load((self.path / "metadata.yaml").read_text(encoding="utf-8"))
            return int(information["rosbag2_bagfile_information"]["message_count"])
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
            return None

    def _learn_types(self, definitions: dict[str, str]) -> None:
        for kind, text in definitions.items():
            if text and kind not in self._types.fielddefs:
                self._types.register(get_types_from_msg(text, kind))

    def _become_lenient(self) -> None:
        self.close()
        self._files = self._find_files()
        self._take_stock()

    def _sound_messages(
        self, reader: AnyReader, topics: Collection[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[RawMessage]:
        wanted = [c for c in reader.connections if topics is None or c.topic in topics]
        if not wanted:
            return
        for connection, log_ns, data in reader.messages(wanted, start=start_ns, stop=end_ns):
            yield RawMessage(connection.topic, connection.msgtype, log_ns, data)

    def _lenient(
        self, topics: Collection[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[RawMessage]:
        for file in self._files:
            for message in file.messages():
                if (
                    (topics is None or message.topic in topics)
                    and (start_ns is None or message.log_ns >= start_ns)
                    and (end_ns is None or message.log_ns < end_ns)
                ):
                    yield message


Deserialize = Callable[[bytes, str], Any]


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
