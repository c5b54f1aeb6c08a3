"""How much a graph's recorder will write, said before it writes: pictures decide, the rest is small beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mobile_vla.bags.config import RecorderConfig
from mobile_vla_bringup.graph import Graph

RAW_BYTES_PER_PIXEL = 3.0
"""bgr8. Compression of the file takes between nothing (noise) and half (a blank wall) of it away."""
JPEG_BYTES_PER_PIXEL = 0.25
"""Quality 80 to 85 of an ordinary room; 0.1 for the simulator's plain ones, 0.5 for foliage."""
DEPTH_BYTES_PER_PIXEL = 4.0
"""32FC1, as the simulator renders it; a camera's 16UC1 takes half."""
OTHER_BYTES_PER_S = 30_000.0
"""State, diagnostics, odometry, scan, actions and commands, measured on the simulated robot."""


class Pictures(NamedTuple):
    """What a camera delivers."""

    width: int
    height: int
    rate_hz: float
    depth: bool

    @property
    def pixels_per_s(self) -> float:
        return self.width * self.height * self.rate_hz


def sentence(graph: Graph, free_bytes: int) -> str:
    """What an hour of the graph's recorder takes; empty where nothing is recorded, or only named topics are."""
    recorder = next((node.config for node in graph.nodes if node.name == "recorder"), None)
    if not isinstance(recorder, RecorderConfig) or not recorder.continuous or recorder.topics:
        return ""
    bag = Path(recorder.out_dir) / recorder.name
    pictures = _pictures(graph)
    if pictures is None:
        return f"recording into {bag}: how much depends on the camera, whose size is not set; {_free(free_bytes)}"
    hourly = _per_hour(pictures, recorder.images, recorder)
    text = (
        f"recording into {bag}: up to {_size(hourly)} an hour ({_kind(recorder)} {pictures.width}x{pictures.height} at "
        f"{pictures.rate_hz:g} Hz), {_free(free_bytes)}, enough for {_duration(free_bytes / hourly)}"
    )
    if recorder.images == "jpeg" or recorder.profile == "commands":
        return text
    smaller = _size(_per_hour(pictures, "jpeg", recorder))
    return f"{text}; --set recorder.images=jpeg writes about {smaller} an hour"


def _pictures(graph: Graph) -> Pictures | None:
    """Of the camera node, or of the simulator, which this package does not know as a class."""
    depth = any(node.name == "depth_scan" for node in graph.nodes)
    for node in graph.nodes:
        camera: Any = node.config if node.name == "camera" else getattr(node.config, "camera", None)
        if camera is not None and camera.width_px:
            with_depth = depth or bool(getattr(camera, "depth", False))
            return Pictures(camera.width_px, camera.height_px, camera.rate_hz, with_depth)
    return None


def _per_hour(pictures: Pictures, images: str, recorder: RecorderConfig) -> float:
    per_pixel = 0.0
    if recorder.profile != "commands":
        per_pixel += RAW_BYTES_PER_PIXEL if images in ("raw", "both") else 0.0
        per_pixel += JPEG_BYTES_PER_PIXEL if images in ("jpeg", "both") else 0.0
        per_pixel += DEPTH_BYTES_PER_PIXEL if pictures.depth and recorder.profile == "all" else 0.0
    return (pictures.pixels_per_s * per_pixel + OTHER_BYTES_PER_S) * 3600.0


def _kind(recorder: RecorderConfig) -> str:
    if recorder.profile == "commands":
        return "no pictures of"
    return {"raw": "raw pictures", "jpeg": "JPEG pictures", "both": "raw and JPEG pictures"}[recorder.images]


def _free(free_bytes: int) -> str:
    return f"{_size(free_bytes)} are free"


def _size(count: float) -> str:
    return f"{count / 1e9:.0f} GB" if count >= 10e9 else f"{count / 1e9:.1f} GB"


def _duration(hours: float) -> str:
    return f"{hours:.0f} h" if hours >= 10 else f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
