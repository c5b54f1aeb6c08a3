"""Episodes as HDF5: `images`, `actions` (linear x, linear y, angular z), `action_event_types`; out and back in.

One file per episode, as the recordings of this policy's family have it. Event types: `episode_start` for the first
frame, `start_action` where the command changes to something that moves, `stop_action` where it changes to standing,
`hold` in between.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.dataset.episode import Episode
from mobile_vla.bags.dataset.manifest import Manifest
from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError
from mobile_vla.files import open_regular, replacing

_STILL = 1e-3
_IMPORT_START_NS = 1_600_000_000_000_000_000
"""Such files carry no absolute time."""


def export(manifest: Manifest, folder: Path, on_episode: Callable[[str], None] = lambda name: None) -> list[Path]:
    """One .h5 per episode, in a folder per split."""
    written = []
    for entry in manifest.episodes:
        episode = manifest.read(entry)
        path = folder / entry.split / f"{Path(entry.file).stem}.h5"
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            shape = (len(episode), manifest.height, manifest.width, 3)
            images = file.create_dataset(
                "images", shape, np.uint8, chunks=(1, *shape[1:]), compression="gzip", compression_opts=1
            )
            for index, picture in enumerate(manifest.pictures(entry, episode)):
                images[index] = picture
            file["actions"] = episode.actions
            file["action_event_types"] = np.array(event_types(episode.actions), dtype=h5py.string_dtype())
            file.attrs["episode_name"] = path.stem
            file.attrs["instruction"] = episode.instruction
            file.attrs["num_frames"] = len(episode)
            file.attrs["total_duration"] = episode.seconds
        written.append(path)
        on_episode(path.name)
    return written


def event_types(actions: NDArray[np.float32]) -> list[str]:
    """One word per frame."""
    words = ["episode_start"]
    for before, now in itertools.pairwise(actions):
        if np.abs(now - before).max() < _STILL:
            words.append("hold")
        else:
            words.append("stop_action" if np.abs(now).max() < _STILL else "start_action")
    return words[: len(actions)]


def import_episode(path: Path, folder: Path, rate_hz: float, instruction: str = "") -> Path:
    """One HDF5 episode as a bag with JPEG frames, commands and the instruction."""
    episode = read(path, rate_hz, instruction)
    store = standard_types()
    types = store.types
    image_type, twist_type, text_type = (
        "sensor_msgs/msg/CompressedImage",
        "geometry_msgs/msg/Twist",
        "std_msgs/msg/String",
    )
    vector = types["geometry_msgs/msg/Vector3"]
    with BagWriter(folder) as bag:
        bag.add_topic("/camera/image_raw/compressed", image_type, Qos("best_effort"))
        bag.add_topic("/cmd_vel", twist_type)
        bag.add_topic("/instruction", text_type, Qos(durability="transient_local"))
        text = types[text_type](data=episode.instruction)
        bag.write("/instruction", int(episode.stamps_ns[0]), bytes(store.serialize_cdr(text, text_type)))
        for stamp, action, jpeg in zip(
            episode.stamps_ns.tolist(), episode.actions.tolist(), episode.jpegs, strict=True
        ):
            time = types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
            header = types["std_msgs/msg/Header"](stamp=time, frame_id="camera")
            image = types[image_type](header=header, format="jpeg", data=np.frombuffer(jpeg, np.uint8))
            twist = types[twist_type](
                linear=vector(x=action[0], y=action[1], z=0.0), angular=vector(x=0.0, y=0.0, z=action[2])
            )
            bag.write("/camera/image_raw/compressed", stamp, bytes(store.serialize_cdr(image, image_type)))
            bag.write("/cmd_vel", stamp, bytes(store.serialize_cdr(twist, twist_type)))
    return folder


def read(path: Path, rate_hz: float, instruction: str = "") -> Episode:
    """An HDF5 episode; two-column actions are linear x and angular z. Its own duration beats `rate_hz`."""
    os.close(open_regular(path))  # a pipe would never open
    try:
        with h5py.File(path, "r") as file:
            for name in ("images", "actions"):
                if name not in file:
                    raise UserError(f"{path} has no '{name}'; it has {', '.join(file) or 'nothing'}")
            images, actions = file["images"], np.asarray(file["actions"], np.float32)
            if images.ndim != 4 or images.shape[-1] != 3 or len(images) != len(actions) or not len(images):
                raise UserError(
                    f"{path}: images are {images.shape} and actions {actions.shape}; one action per RGB image is needed"
                )
            if actions.shape[1] == 2:
                actions = np.stack([actions[:, 0], np.zeros(len(actions), np.float32), actions[:, 1]], axis=1)
            text = instruction or str(file.attrs.get("instruction", ""))
            duration = float(file.attrs.get("total_duration", 0.0))
            period_ns = duration / (len(images) - 1) * 1e9 if duration > 0 and len(images) > 1 else 1e9 / rate_hz
            jpegs = [
                cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
                for picture in images
            ]
    except OSError as error:
        raise UserError(f"{path} is not an HDF5 file ({error}); name a .h5 episode") from error
    if not text:
        raise UserError(f"{path} carries no instruction; give one with --instruction")
    stamps = _IMPORT_START_NS + np.round(np.arange(len(jpegs)) * period_ns).astype(np.int64)
    return Episode(text, stamps, actions[:, :3], jpegs)
