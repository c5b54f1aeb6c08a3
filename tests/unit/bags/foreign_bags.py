"""Bags as other recorders write them: through the `mcap` and `sqlite3` libraries, not through the code under test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from bag_making import FRAME_NS, START_NS, Messages
from mcap.writer import CompressionType, Writer

from mobile_vla.bags.definitions import definition_of

IMAGE, TWIST, TEXT = "sensor_msgs/msg/Image", "geometry_msgs/msg/Twist", "std_msgs/msg/String"
EVENT = "example_interfaces/srv/AddTwoInts_Event"
EVENT_DEFINITION = f"MSG: {EVENT}\nint64 a\nint64 b\n---\nint64 sum\n"
"""As rosbag2 writes it for a service whose introspection is recorded: no message definition at all."""
FRAMES = 25


class Topic(NamedTuple):
    """`definition` None: the one of the common interfaces."""

    name: str
    type: str
    messages: Sequence[tuple[int, bytes]]
    definition: str | None = None
    definition_encoding: str = "ros2msg"
    message_encoding: str = "cdr"


def service_events(count: int = 3) -> Topic:
    return Topic(
        "/add_two_ints/_service_event",
        EVENT,
        [(START_NS + n, b"\0\1\0\0" + bytes(60)) for n in range(count)],
        EVENT_DEFINITION,
    )


def drive_topics(messages: Messages, spelled: Callable[[str], str] = lambda kind: kind) -> list[Topic]:
    """A drive at 10 Hz; `spelled` is how the recorder writes a type's name."""
    stamps = [START_NS + index * FRAME_NS for index in range(FRAMES)]
    pixels = np.zeros((24, 32, 3), np.uint8)
    images = [(stamp, messages.image(stamp, pixels + index)) for index, stamp in enumerate(stamps)]
    commands = [(stamp + 20_000_000, messages.command(index / 100, 0.1)) for index, stamp in enumerate(stamps)]
    return [
        Topic("/camera/image_raw", spelled(IMAGE), images, definition_of(IMAGE).text),
        Topic("/cmd_vel", spelled(TWIST), commands, definition_of(TWIST).text),
        Topic("/instruction", spelled(TEXT), [(START_NS - 1, messages.text("go"))], definition_of(TEXT).text),
    ]


def write_mcap(path: Path, topics: Sequence[Topic]) -> Path:
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="another recorder")
        waiting = []
        for topic in topics:
            text = topic.definition if topic.definition is not None else definition_of(topic.type).text
            schema = writer.register_schema(topic.type, topic.definition_encoding, text.encode())
            channel = writer.register_channel(topic.name, topic.message_encoding, schema)
            waiting += [(log_ns, channel, data) for log_ns, data in topic.messages]
        for log_ns, channel, data in sorted(waiting):
            writer.add_message(channel, log_ns, data, log_ns)
        writer.finish()
    return path


def write_metadata(folder: Path, file: str, topics: Sequence[Topic], storage: str = "mcap", **changes: str) -> Path:
    """A metadata.yaml for one storage file; `changes` are values of its top level."""
    stamps = [log_ns for topic in topics for log_ns, _ in topic.messages]
    listed = [
        {
            "topic_metadata": {
                "name": topic.name,
                "type": topic.type,
                "serialization_format": topic.message_encoding,
                "offered_qos_profiles": "",
            },
            "message_count": len(topic.messages),
        }
        for topic in topics
    ]
    information = {
        "version": 5,
        "storage_identifier": storage,
        "duration": {"nanoseconds": max(stamps) - min(stamps)},
        "starting_time": {"nanoseconds_since_epoch": min(stamps)},
        "message_count": len(stamps),
        "topics_with_message_count": listed,
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file],
        **changes,
    }
    folder.mkdir(exist_ok=True)
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": information}))
    return folder


def write_folder(folder: Path, topics: Sequence[Topic]) -> Path:
    write_metadata(folder, "bag_0.mcap", topics)
    write_mcap(folder / "bag_0.mcap", topics)
    return folder
