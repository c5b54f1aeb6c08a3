"""One bag, whatever its kind and state, as typed streams. Needs no ROS.

Sound bags go through `rosbags` (rosbag2 mcap and sqlite3, ROS 1). What that refuses is read by `lenient`, and
`damage` says how much is missing. Memory does not grow with the length of the bag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import zstandard
from rosbags.serde import SerdeError

from mobile_vla.bags import metadata
from mobile_vla.bags.bag_types import BagTypes
from mobile_vla.bags.convert import DecodeError, decode
from mobile_vla.bags.damage import Damage, UndecodableCount
from mobile_vla.bags.intact import DamagedBagError, IntactBag
from mobile_vla.bags.lenient import LenientFile
from mobile_vla.bags.roles import Roles
from mobile_vla.bags.sqlite_tables import foreign_file
from mobile_vla.bags.storage_files import compressed_files, refuse_what_is_no_bag, storage_files
from mobile_vla.bags.types import CDR, Event, RawMessage, TopicInfo
from mobile_vla.errors import UserError

_ZSTD = b"\x28\xb5\x2f\xfd"
"""No CDR message begins so: its first byte is 0."""
_LARGEST_MESSAGE = 1 << 30


class BagReader:
    """Opens a bag folder, a `.recording` folder, or a single .mcap, .db3 or .bag file. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: Damage | None = None
        """Set when something could not be read: known at once for most kinds, else after reading to the end."""
        self.undecodable = UndecodableCount()
        """Of the newest `events`."""
        self.start_ns = 0
        self.end_ns = 0
        """Log times of the first and last message."""
        self.topics: dict[str, TopicInfo] = {}
        self.ros1 = path.suffix == ".bag"
        self._intact: IntactBag | None = None
        self._files: list[LenientFile] = []
        self._types = BagTypes()
        self._formats: dict[str, str] = {}
        self._expected: int | None = None
        refuse_what_is_no_bag(path)
        self._listed = metadata.read_listed(path) if path.is_dir() else metadata.Listed(None, {})
        self._open()
        if refusal := self._nothing_to_read():
            self.close()
            raise UserError(refusal)

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def message_count(self) -> int:
        return sum(topic.messages for topic in self.topics.values())

    @property
    def unreadable(self) -> str:
        """Every topic of which nothing can be decoded, and why; empty for nearly every bag."""
        undecodable = [topic for topic in self.topics.values() if topic.error]
        return "; ".join(f"{topic.name} cannot be read: {topic.error}" for topic in undecodable)

    def raw(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RawMessage]:
        """Messages in log order (damaged files: nearly), of all topics unless named, with start <= log time < end."""
        wanted = {name for name in self.topics if name not in self._formats and (topics is None or name in topics)}
        if self._intact is None:
            yield from self._lenient(wanted, start_ns, end_ns)
            return
        last_ns, at_last = -(2**62), 0
        try:
            for message in self._intact.messages(wanted, start_ns, end_ns):
                at_last = at_last + 1 if message.log_ns == last_ns else 1
                last_ns = message.log_ns
                yield message if self.ros1 or message.data[:4] != _ZSTD else _uncompressed(message)
        except DamagedBagError as error:
            self._switch_to_lenient(error)
            for message in self._lenient(wanted, max(last_ns, start_ns or last_ns), end_ns):
                if message.log_ns == last_ns and at_last > 0:
                    at_last -= 1
                else:
                    yield message

    def events(self, roles: Roles, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[Event]:
        """The messages of the given roles as typed tuples, in log order. `undecodable` counts what is skipped."""
        by_topic = {topic: role for role, topic in roles._asdict().items() if topic is not None}
        self.undecodable = undecodable = UndecodableCount()
        for message in self.raw(by_topic, start_ns, end_ns):
            undecodable.read[message.topic] += 1
            try:
                yield from decode(by_topic[message.topic], message, self.ros1, self.message)
            except DecodeError as error:
                undecodable.skip(message.topic, (message.log_ns - self.start_ns) / 1e9, str(error))

    def message(self, data: bytes, message_type: str) -> Any:
        """Any message, decoded by its definition in the bag."""
        return self._types.message(data, message_type, self.ros1)

    def decode_error(self, message: RawMessage) -> str:
        """Why a message cannot be decoded; empty when it can, or when nothing says what its type looks like."""
        if not self._types.knows(message.type):
            return ""
        try:
            self.message(message.data, message.type)
        except SerdeError as error:
            return f"not a {message.type}{f': {error}' if str(error) else ''}"
        return ""

    def close(self) -> None:
        if self._intact is not None:
            self._intact.close()
            self._intact = None

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        try:
            self._intact = intact = self._open_intact()
        except DamagedBagError as error:
            if self.ros1:
                raise UserError(
                    f"{self.path} cannot be read ({error}); run `rosbag reindex` on it where ROS 1 is at hand"
                ) from error
            self._files = self._find_files(error)
            self._scan_files(error)
            return
        intact.teach(self._types)
        self.start_ns, self.end_ns, self._expected = intact.start_ns, intact.end_ns, intact.message_count
        self._formats = intact.formats
        self.topics = {name: self._with_decode_error(topic) for name, topic in sorted(intact.topics.items())}

    def _open_intact(self) -> IntactBag:
        """Through `rosbags`, which parses metadata.yaml and asks for every row: only where that ends."""
        if self._listed.refusal:
            raise DamagedBagError(self._listed.refusal)
        for file in storage_files(self.path) if self.path.is_dir() else [self.path]:
            if file.suffix == ".db3" and (foreign := foreign_file(file)):
                raise DamagedBagError(f"{file.name} is not what rosbag2 writes: {foreign}")
        return IntactBag(self.path)

    def _with_decode_error(self, topic: TopicInfo) -> TopicInfo:
        """The topic, with the reason why it cannot be decoded where there is one."""
        form = self._formats.get(topic.name)
        if form is not None:
            return topic._replace(error=f"its serialization format is {form!r}, only {CDR!r} can be read")
        return topic._replace(error=self._types.refused.get(topic.type, ""))

    def _nothing_to_read(self) -> str:
        """A sentence for a bag without a message that can be read; else empty."""
        filled = [topic for topic in self.topics.values() if topic.messages]
        if not filled:
            detail = f" ({self.damage.message})" if self.damage else ""
            return f"{self.path} holds no messages{detail}; record it again"
        if all(topic.name in self._formats for topic in filled):
            return (
                f"{self.path}: no topic can be read; {filled[0].name}: {filled[0].error}; record it again with an "
                "RMW that writes CDR, such as rmw_fastrtps_cpp"
            )
        return ""

    def _find_files(self, refused: DamagedBagError) -> list[LenientFile]:
        paths = storage_files(self.path) if self.path.is_dir() else [self.path]
        if not paths:
            packed = compressed_files(self.path)
            raise UserError(
                f"{self.path}: {packed[0].name} is compressed as a whole and cannot be opened by its metadata.yaml "
                f"({refused}); decompress it with `zstd -d`, or copy the bag again"
                if packed
                else f"{self.path} is not a bag: the folder holds no .mcap or .db3 file; name the folder of a bag"
            )
        return [LenientFile(path) for path in paths]

    def _scan_files(self, refused: DamagedBagError) -> None:
        """Read everything once: which topics there are, from when to when, and what is lost."""
        start, end, counts = 2**63, 0, dict.fromkeys(self.topics, 0)
        kinds = {topic.name: topic.type for topic in self.topics.values()}
        listed = self._listed
        self._formats.update(listed.formats)
        for file in self._files:
            for message in file.messages():
                start, end = min(start, message.log_ns), max(end, message.log_ns)
                counts[message.topic] = counts.get(message.topic, 0) + 1
                kinds[message.topic] = message.type
            for kind, text in file.definitions.items():
                if text:
                    self._types.learn(kind, text, file.encodings[kind])
            self._formats.update(file.formats)
        found = {name: TopicInfo(name, kinds[name], count, None) for name, count in counts.items()}
        self.topics = {name: self._with_decode_error(topic) for name, topic in found.items()}
        self.start_ns, self.end_ns = (start, end) if end else (0, 0)
        read = self.message_count
        lost, total = sum(file.bytes_lost for file in self._files), sum(file.bytes_total for file in self._files)
        reasons = tuple(file.reason for file in self._files if file.reason)
        if not reasons and listed.formats and read == listed.messages:
            return  # only the other formats were in the way
        self.damage = Damage(
            reasons or (self._unfinished(refused),), read, self._expected or listed.messages, lost, total
        )

    def _unfinished(self, refused: DamagedBagError) -> str:
        if self.path.is_dir() and not (self.path / metadata.FILE_NAME).exists():
            return f"{self.path.name} has no metadata.yaml"
        return f"{self.path.name} is read without its index ({refused})"

    def _switch_to_lenient(self, refused: DamagedBagError) -> None:
        self.close()
        self._files = self._find_files(refused)
        self._scan_files(refused)

    def _lenient(self, topics: Collection[str], start_ns: int | None, end_ns: int | None) -> Iterator[RawMessage]:
        for file in self._files:
            for message in file.messages():
                if (
                    message.topic in topics
                    and (start_ns is None or message.log_ns >= start_ns)
                    and (end_ns is None or message.log_ns < end_ns)
                ):
                    yield _uncompressed(message)


def _uncompressed(message: RawMessage) -> RawMessage:
    """rosbag2 can compress message by message, and a single file does not say that it did."""
    if message.data[:4] != _ZSTD:
        return message
    try:
        if 0 <= zstandard.frame_content_size(message.data) <= _LARGEST_MESSAGE:
            return message._replace(data=zstandard.ZstdDecompressor().decompress(message.data))
    except zstandard.ZstdError:
        pass  # it stays as it is, and is counted as undecodable
    return message
