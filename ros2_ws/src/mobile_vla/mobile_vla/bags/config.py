"""Settings of the recorder and of replaying. Imports only the configuration schema."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mobile_vla.config import Config, ConfigError, param

STORAGES = ("mcap", "sqlite3")
COMPRESSIONS = ("zstd", "lz4", "none")
PROFILES = ("all", "driving", "commands")
IMAGES = ("raw", "jpeg", "both")
_TOPIC_NAME = re.compile(r"(~?/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RecorderConfig(Config):
    """What is recorded, where to, and in which pieces."""

    out_dir: str = param("recordings", "folder that bags are written into; made when it is missing")
    name: str = param("", "name of the bag folder; empty: vla_ and the date and time")
    profile: str = param(
        "all",
        "which contract topics are recorded: all of them; driving: camera, instruction, action, commands, odometry, "
        "state; commands: driving without the camera",
        choices=PROFILES,
    )
    images: str = param(
        "raw", "which of the camera's topics are recorded; jpeg makes the camera encode", choices=IMAGES
    )
    topics: tuple[str, ...] = param((), "record exactly these topics; empty: those of the profile")
    storage: str = param("mcap", "rosbag2 storage of the bag", choices=STORAGES)
    compression: str = param("zstd", "compression of mcap chunks", choices=COMPRESSIONS)
    chunk_kb: int = param(4096, "mcap chunk size: larger compresses better and faster", ge=64, le=65536)
    flush_s: float = param(1.0, "at most this much is lost when the recorder is killed", gt=0.0, le=60.0)
    split_mb: int = param(2048, "start a new file after this many megabytes; 0: never", ge=0, le=1_000_000)
    split_s: float = param(0.0, "start a new file after this many seconds; 0: never", ge=0.0, le=86_400.0)
    continuous: bool = param(
        True, "record from the start; false: only fill the ring buffer until recorder/save is called"
    )
    ring_s: float = param(30.0, "seconds that recorder/save writes when continuous is false", ge=1.0, le=600.0)
    ring_mb: int = param(
        1024, "memory limit of the ring buffer, together with what is still being saved of it", ge=16, le=65536
    )
    queue_mb: int = param(
        128, "memory for messages waiting for the disk; beyond it messages are dropped and counted", ge=8, le=16384
    )
    min_free_mb: int = param(256, "the bag is finished when the disk has less than this left", ge=16, le=1_000_000)
    metadata_version: int = param(
        0, "version of metadata.yaml: 8 for Humble, 9 for newer; 0: by ROS_DISTRO", ge=0, le=9
    )

    def cross_check(self) -> None:
        for topic in self.topics:
            _check_topic_name("topics", topic)
        if self.metadata_version not in (0, 8, 9):
            raise ConfigError(f"metadata_version must be 0, 8 or 9, got {self.metadata_version}")
        if "/" in self.name or self.name in (".", "..") or not self.name.isprintable():
            raise ConfigError(f"name must be a plain folder name, got {self.name!r}; put the path into out_dir")
        if self.storage == "sqlite3" and self.compression == "lz4":
            raise ConfigError("compression lz4 needs storage mcap, got sqlite3; use compression none or storage mcap")


@dataclass(frozen=True, kw_only=True)
class ReplayConfig(Config):
    """What of a bag is published again, and how fast."""

    bag: str = param("", "the bag: a folder, or one .mcap, .db3 or .bag file")
    rate: float = param(1.0, "speed: 2 is twice as fast", ge=0.01, le=100.0)
    loop: bool = param(False, "start again at the end")
    start_s: float = param(0.0, "begin this many seconds into the bag", ge=0.0, le=1_000_000.0)
    end_s: float = param(0.0, "stop this many seconds into the bag; 0: at its end", ge=0.0, le=1_000_000.0)
    clock: bool = param(False, "publish /clock with the bag's time, for nodes with use_sim_time")
    restamp: bool = param(
        False, "move every header stamp by the time since the recording, for nodes that run on real time"
    )
    topics: tuple[str, ...] = param((), "only these topics; empty: all but the robot's command topic and /clock")
    remaps: tuple[str, ...] = param((), "publish under another name: recorded:=published")
    wait_s: float = param(1.0, "time for subscribers to find the topics before the first message", ge=0.0, le=60.0)

    def cross_check(self) -> None:
        if self.end_s and self.end_s <= self.start_s:
            raise ConfigError(f"end_s must be later than start_s ({self.start_s:g}), got {self.end_s:g}")
        for remap in self.remaps:
            old, arrow, new = remap.partition(":=")
            if not (old and arrow and new):
                raise ConfigError(f"remaps must look like recorded:=published, got {remap!r}")
            _check_topic_name("remaps", new)
        if self.clock and self.restamp:
            raise ConfigError(
                "clock and restamp exclude each other: either nodes follow the bag's time, or the bag theirs"
            )


def _check_topic_name(field: str, name: str) -> None:
    if not _TOPIC_NAME.fullmatch(name):
        raise ConfigError(
            f"{field} must hold topic names such as camera/image_raw (letters, digits and _ between single /), "
            f"got {name!r}"
        )
