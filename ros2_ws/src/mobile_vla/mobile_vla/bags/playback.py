"""When which message of a bag is due again, and with which bytes. Pure: the caller waits and publishes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mobile_vla.bags.config import ReplayConfig
from mobile_vla.bags.damage import UndecodableCount
from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import TWIST_TYPES
from mobile_vla.bags.types import Qos, RawMessage
from mobile_vla.errors import UserError, nearest

_STAMP = struct.Struct("<iI")
_STAMP_AT = 4


class PlayedTopic(NamedTuple):
    """One topic to publish: its name in the bag, its name now."""

    recorded: str
    published: str
    type: str
    qos: Qos


class DueMessage(NamedTuple):
    """A message, and how long after the start of playing it is due."""

    after_ns: int
    message: RawMessage
    published: str


class Playback:
    """The part of a bag that a configuration asks for."""

    def __init__(
        self, reader: BagReader, config: ReplayConfig, installed: Callable[[str], bool] = lambda kind: True
    ) -> None:
        """`installed` says whether messages of a type can be published here."""
        if reader.ros1:
            raise UserError(f"{reader.path} is a ROS 1 bag; convert it with `rosbags-convert` to replay it")
        self._reader = reader
        self._config = config
        self.start_ns = reader.start_ns + int(config.start_s * 1e9)
        self.end_ns = reader.start_ns + int(config.end_s * 1e9) if config.end_s else reader.end_ns + 1
        if self.start_ns >= reader.end_ns and config.start_s:
            raise UserError(f"start_s {config.start_s:g} is behind the end of the bag ({reader.duration_s:.1f} s)")
        self._installed = installed
        remaps = dict(remap.split(":=", 1) for remap in config.remaps)
        remaps = {f"/{old.strip('/')}": new for old, new in remaps.items()}
        self.topics = [
            PlayedTopic(
                name, remaps.get(name, name), reader.topics[name].type, reader.topics[name].qos or Qos(depth=10)
            )
            for name in self._chosen(config)
        ]
        self.left_out = sorted(set(reader.topics) - {topic.recorded for topic in self.topics})
        self.unpublished = {
            name: why for name in self.left_out if reader.topics[name].messages and (why := self._unpublishable(name))
        }
        """Why a topic that was left out could not be published in any case."""
        if not self.topics:
            reasons = "; ".join(f"{name} {why}" for name, why in self.unpublished.items())
            raise UserError(
                f"{reader.path} has nothing to replay{f': {reasons}' if reasons else ''}; "
                "name topics with --topics, or replay another bag"
            )
        self.undecodable = UndecodableCount()
        """Messages of the newest pass that were left out: a subscriber that cannot decode one may die of it."""
        self._stamped = {topic.recorded for topic in self.topics if has_header(topic.type)}

    @property
    def duration_s(self) -> float:
        """Length of the chosen part, in the bag's time."""
        return (min(self.end_ns, self._reader.end_ns) - self.start_ns) / 1e9

    def messages(self, now_ns: int = 0) -> Iterator[DueMessage]:
        """One pass over the bag; `now_ns` is the clock's time at its beginning (used when restamping).

        Raises `UserError` at its end when not one message could be decoded.
        """
        names = {topic.recorded: topic.published for topic in self.topics}
        self.undecodable = undecodable = UndecodableCount()
        for message in self._reader.raw(names, self.start_ns, self.end_ns):
            undecodable.read[message.topic] += 1
            if why := self._reader.decode_error(message):
                undecodable.skip(message.topic, (message.log_ns - self._reader.start_ns) / 1e9, why)
                continue
            after_ns = int((message.log_ns - self.start_ns) / self._config.rate)
            data = message.data
            if self._config.restamp and message.topic in self._stamped:
                data = shifted(data, now_ns + after_ns - message.log_ns)
            yield DueMessage(after_ns, message._replace(data=data), names[message.topic])
        if undecodable.skipped and undecodable.skipped.total() == undecodable.read.total():
            raise UserError(f"{self._reader.path}: {undecodable.message}; record it again, or choose other topics")

    def bag_time_ns(self, after_ns: int) -> int:
        """The bag's clock, that long after the start of playing."""
        return self.start_ns + int(after_ns * self._config.rate)

    def _chosen(self, config: ReplayConfig) -> list[str]:
        known = [name for name, topic in self._reader.topics.items() if topic.messages]
        if not config.topics:
            return [
                name
                for name in known
                if name != "/clock" and not self._commands_a_robot(name) and not self._unpublishable(name)
            ]
        chosen = [f"/{name.strip('/')}" for name in config.topics]
        for name in chosen:
            if name not in known:
                raise UserError(f"the bag has no messages on {name}; {nearest(name, known)}")
            if why := self._unpublishable(name):
                raise UserError(f"{name} {why}; leave it out")
        return chosen

    def _unpublishable(self, name: str) -> str:
        """Why a topic of the bag cannot be published; empty when it can."""
        topic = self._reader.topics[name]
        if topic.error:
            return f"cannot be read: {topic.error}"
        if "/msg/" not in topic.type:
            return f"is a {topic.type or 'topic without a type'}, which no publisher can send"
        return "" if self._installed(topic.type) else f"is a {topic.type}, which is not installed"

    def _commands_a_robot(self, name: str) -> bool:
        """A replayed command would move a real base: only on request."""
        return name.endswith("cmd_vel") and self._reader.topics[name].type in TWIST_TYPES


def has_header(message_type: str) -> bool:
    """Whether a message begins with std_msgs/Header, as far as its type is known."""
    fields = standard_types().fielddefs.get(message_type)
    return bool(fields and fields[1] and fields[1][0][1][1] == "std_msgs/msg/Header")


def shifted(data: bytes, by_ns: int) -> bytes:
    """The same CDR message with its header stamp moved; a stamp of 0 (none) stays."""
    if len(data) < _STAMP_AT + _STAMP.size or data[1] != 1:
        return data
    seconds, nanoseconds = _STAMP.unpack_from(data, _STAMP_AT)
    if not seconds and not nanoseconds:
        return data
    stamp_ns = max(0, seconds * 1_000_000_000 + nanoseconds + by_ns)
    stamp = _STAMP.pack(*divmod(stamp_ns, 1_000_000_000))
    return data[:_STAMP_AT] + stamp + data[_STAMP_AT + _STAMP.size :]
