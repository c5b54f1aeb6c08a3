"""From the setting `source` to the object that delivers frames."""

from __future__ import annotations

import re
from pathlib import Path

from mobile_vla.camera.capture import GStreamerSource, V4l2Source, csi_pipeline
from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.files import IMAGE_SUFFIXES, FolderSource, VideoFileSource
from mobile_vla.camera.source import Clock, FrameSource
from mobile_vla.camera.stream import StreamSource, parse
from mobile_vla.errors import UserError

_CSI = re.compile(r"csi(?::(?://)?(\d+))?|(\d+)")


def kind_of(source: str) -> str:
    """What `auto` means for a source; raises `UserError` when it is none of the known forms."""
    text = source.strip()
    if text.isdecimal() or text.startswith("/dev/"):
        return "v4l2"
    if re.fullmatch(r"csi(:.*)?", text):
        return "csi"
    if " ! " in text:
        return "gstreamer"
    if "://" in text and not text.startswith("file://"):
        parse(text)
        return "stream"
    path = _path(text)
    if not path.exists():
        raise UserError(f"source '{text}' is no device, no address and no existing file or folder; check the path")
    if path.is_dir():
        return "folder"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{path} is one image; give the folder it is in, or a video file")
    return "video"


def make_source(config: CameraConfig, clock: Clock) -> FrameSource:
    """The checked source of a configuration; `UserError` for whatever trying again cannot fix."""
    source = _make(config, clock)
    source.check()
    return source


def _make(config: CameraConfig, clock: Clock) -> FrameSource:
    kind = kind_of(config.source) if config.kind == "auto" else config.kind
    text = config.source.strip()
    if kind == "v4l2":
        return V4l2Source(config, clock)
    if kind == "csi":
        match = _CSI.fullmatch(text)
        if match is None:
            raise UserError(f"'{text}' names no CSI camera; write csi:0 or csi:1")
        sensor = int(match[1] or match[2] or 0)
        return GStreamerSource(csi_pipeline(config, sensor), clock, f"CSI camera {sensor}")
    if kind == "gstreamer":
        return GStreamerSource(text, clock)
    if kind == "stream":
        return StreamSource(config, clock)
    if kind == "folder":
        return FolderSource(_path(text), config.rate_hz, config.loop, clock)
    return VideoFileSource(_path(text), config.rate_hz, config.loop, clock)


def _path(text: str) -> Path:
    return Path(text.removeprefix("file://")).expanduser()
