"""metadata.yaml of a rosbag2 folder, in the versions that Humble (8) and newer distributions (9) write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mobile_vla.bags.types import CDR, Qos
from mobile_vla.config.safe_yaml import YamlError, check_bounds
from mobile_vla.files import FileError, read_text, write_text

NEWEST_VERSION = 9
HUMBLE_VERSION = 8
FILE_NAME = "metadata.yaml"
_ROOT = "rosbag2_bagfile_information"
# 1,000 files and 200 topics need a third of it; the parser that `rosbags` has takes 5 s for so many values
_MAX_BYTES = 1 << 20
_MAX_EVENTS = 60_000
_FOREVER = {"sec": 9223372036, "nsec": 854775807}
_NUMBERS = {
    "reliability": {"reliable": 1, "best_effort": 2},
    "durability": {"transient_local": 1, "volatile": 2},
    "history": {"keep_last": 1, "keep_all": 2},
}


class RecordedTopic(NamedTuple):
    """One topic as metadata.yaml lists it."""

    name: str
    type: str
    type_hash: str
    qos: Qos
    messages: int


class RecordedFile(NamedTuple):
    """One storage file; `start_ns` and `end_ns` are 0 when it is empty."""

    name: str
    start_ns: int
    end_ns: int
    messages: int


def version_for(distribution: str | None = None) -> int:
    """The metadata version that a distribution's tools read; the sourced one unless named."""
    name = os.environ.get("ROS_DISTRO", "") if distribution is None else distribution
    return HUMBLE_VERSION if name in ("humble", "iron") else NEWEST_VERSION


def qos_profiles(qos: Qos, version: int) -> list[dict[str, Any]]:
    """One QoS profile in rosbag2's layout: words from version 9 on, numbers before."""

    def term(kind: str, word: str) -> str | int:
        return word if version >= NEWEST_VERSION else _NUMBERS[kind].get(word, 0)

    return [
        {
            "history": term("history", qos.history),
            "depth": qos.depth,
            "reliability": term("reliability", qos.reliability),
            "durability": term("durability", qos.durability),
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic" if version >= NEWEST_VERSION else 1,
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }
    ]


def qos_text(qos: Qos, version: int) -> str:
    """The same profile as the YAML text that storage files carry."""
    return yaml.safe_dump(qos_profiles(qos, version), sort_keys=False)


def bag_information(
    version: int,
    storage: str,
    topics: Sequence[RecordedTopic],
    files: Sequence[RecordedFile],
    custom: dict[str, str],
) -> dict[str, Any]:
    """The content of metadata.yaml."""
    filled = [file for file in files if file.messages]
    start = min((file.start_ns for file in filled), default=0)
    end = max((file.end_ns for file in filled), default=0)
    return {
        "version": version,
        "storage_identifier": storage,
        "duration": {"nanoseconds": end - start},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(file.messages for file in files),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": (
                        qos_profiles(topic.qos, version) if version >= NEWEST_VERSION else qos_text(topic.qos, version)
                    ),
                    "type_description_hash": topic.type_hash,
                },
                "message_count": topic.messages,
            }
            for topic in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.name for file in files],
        "files": [
            {
                "path": file.name,
                "starting_time": {"nanoseconds_since_epoch": file.start_ns},
                "duration": {"nanoseconds": file.end_ns - file.start_ns},
                "message_count": file.messages,
            }
            for file in files
        ],
        "custom_data": dict(custom) or None,
        "ros_distro": os.environ.get("ROS_DISTRO", "unknown"),
    }


def write(folder: Path, information: dict[str, Any]) -> None:
    """Write metadata.yaml in one step: it is there whole or not at all."""
    write_text(folder / FILE_NAME, yaml.safe_dump({_ROOT: information}, sort_keys=False))


class Listed(NamedTuple):
    """What a metadata.yaml promises, as far as it can be read."""

    messages: int | None
    formats: dict[str, str]
    """Serialization format by topic, where it is not CDR."""
    refusal: str = ""
    """Why no other parser may be given the file: it might not come to an end."""


def read_listed(folder: Path) -> Listed:
    """Of a bag folder; nothing where the file is missing or damaged. Parsed once, within bounds."""
    try:
        text = read_text(folder / FILE_NAME, _MAX_BYTES)
        check_bounds(text, _MAX_BYTES, _MAX_EVENTS)
        information = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))[_ROOT]  # noqa: S506
        topics = [entry["topic_metadata"] for entry in information["topics_with_message_count"]]
        for topic in topics:
            if isinstance(profiles := topic.get("offered_qos_profiles"), str):  # YAML in YAML before version 9
                check_bounds(profiles, _MAX_BYTES, _MAX_EVENTS)
        formats = {str(topic["name"]): str(topic["serialization_format"]) for topic in topics}
        count = int(information["message_count"])
    except FileError as error:
        missing = isinstance(error.__cause__, OSError)
        return Listed(None, {}, "" if missing else f"{FILE_NAME} cannot be used: {str(error).partition('; ')[0]}")
    except YamlError as error:
        return Listed(None, {}, f"{FILE_NAME} cannot be used: {str(error).partition('; ')[0]}")
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return Listed(None, {})
    return Listed(count, {name: form for name, form in formats.items() if form not in ("", CDR)})
