"""Bags to episodes: frames with the command given at them, cut at instructions and pauses, split by episode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobile_vla.bags.align import AlignedFrame, align
from mobile_vla.bags.dataset.episode import Episode, write_episode
from mobile_vla.bags.dataset.manifest import SPLITS, EpisodeEntry, Manifest
from mobile_vla.bags.images import rgb
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import find_camera_and
from mobile_vla.bags.types import BagFrame
from mobile_vla.camera.encodings import ImageError
from mobile_vla.errors import UserError
from mobile_vla.files import replacing_folder

DRIVING = ("autonomy", "teleop", "hold")
_GAP_NS = 1_000_000_000
_JITTER_NS = 20_000_000
"""A frame this early is still on time."""


class BuildOptions(NamedTuple):
    """How episodes are made. `who` is whose driving is kept: any, teleop or autonomy."""

    rate_hz: float = 10.0
    width: int = 0
    """0: as recorded; else frames are scaled to this width."""
    quality: int = 90
    delay_ms: float = 0.0
    tolerance_ms: float = 100.0
    instruction: str = ""
    who: str = "any"
    least_frames: int = 20
    most_frames: int = 3000
    val_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0


class _Open:
    """An episode that is still growing."""

    def __init__(self, instruction: str) -> None:
        self.instruction = instruction
        self.stamps: list[int] = []
        self.actions: list[tuple[float, float, float]] = []
        self.jpegs: list[bytes] = []
        self.size = (0, 0)

    def closed(self) -> Episode:
        actions = np.array(self.actions, np.float32).reshape(-1, 3)
        return Episode(self.instruction, np.array(self.stamps, np.int64), actions, self.jpegs)


def build(
    bags: Sequence[Path],
    folder: Path,
    options: BuildOptions,
    *,
    chosen: dict[str, str] | None = None,
    on_episode: Callable[[EpisodeEntry], None] = lambda entry: None,
) -> Manifest:
    """Write a data set into a new folder; memory holds one episode. It is there whole or not at all.

    Raises `UserError` when nothing usable is found.
    """
    with replacing_folder(folder) as unfinished:
        manifest = _build(bags, unfinished, options, chosen, on_episode)
    manifest.folder = folder
    return manifest


def _build(
    bags: Sequence[Path],
    folder: Path,
    options: BuildOptions,
    chosen: dict[str, str] | None,
    on_episode: Callable[[EpisodeEntry], None],
) -> Manifest:
    (folder / "episodes").mkdir(parents=True)
    entries: list[EpisodeEntry] = []
    left_out: Counter[str] = Counter()
    damage: list[str] = []
    size: tuple[int, int] | None = None
    for bag in bags:
        for episode in _episodes(bag, options, chosen, left_out, damage):
            height, width = next(episode.frames()).shape[:2]
            size = size or (width, height)
            if (width, height) != size:
                raise UserError(
                    f"{bag} has {width}x{height} pictures, earlier ones are {size[0]}x{size[1]}; use --width"
                )
            file = f"episodes/{len(entries):06d}.npz"
            write_episode(folder / file, episode)
            stamps = episode.stamps_ns
            entry = EpisodeEntry(
                file, "train", str(bag), int(stamps[0]), int(stamps[-1]), len(episode), episode.instruction
            )
            entries.append(entry)
            on_episode(entry)
    if not entries or size is None:
        reasons = ", ".join(f"{count} frames {reason}" for reason, count in left_out.items()) or "there are no frames"
        raise UserError(f"no episode of at least {options.least_frames} frames was found: {reasons}")
    manifest = Manifest(folder, *size, built=options._asdict(), left_out=dict(left_out), damage=damage)
    manifest.episodes = split(entries, options)
    manifest.statistics = statistics(manifest)
    manifest.save()
    return manifest


def split(entries: Sequence[EpisodeEntry], options: BuildOptions) -> list[EpisodeEntry]:
    """Assign whole episodes to train, val and test; at least one to val and test each where there are three."""
    order = np.random.default_rng(options.seed).permutation(len(entries))
    counts = [
        max(1, round(share * len(entries))) if share > 0 and len(entries) >= len(SPLITS) else 0
        for share in (options.val_share, options.test_share)
    ]
    names = ["val"] * counts[0] + ["test"] * counts[1]
    names += ["train"] * (len(entries) - len(names))
    assigned = dict(zip(order.tolist(), names, strict=True))
    return [EpisodeEntry(**{**vars(entry), "split": assigned[index]}) for index, entry in enumerate(entries)]


def statistics(manifest: Manifest) -> dict[str, Any]:
    """Of the training split: actions per axis, and how many frames go straight, turn or stand."""
    actions = np.concatenate([manifest.read(entry).actions for entry in manifest.of_split("train")])
    per_axis = {
        name: {
            "mean": float(column.mean()),
            "std": float(column.std()),
            "min": float(column.min()),
            "max": float(column.max()),
            "q01": float(np.quantile(column, 0.01)),
            "q99": float(np.quantile(column, 0.99)),
        }
        for name, column in zip(("linear", "lateral", "angular"), actions.T.astype(np.float64), strict=True)
    }
    return {"frames": len(actions), "actions": per_axis, "motion": motion_shares(actions)}


def motion_shares(actions: NDArray[np.float32]) -> dict[str, float]:
    """Shares of frames that stand, go straight, turn left, turn right."""
    linear, turn = np.abs(actions[:, 0]) + np.abs(actions[:, 1]), actions[:, 2]
    still = (linear < 0.01) & (np.abs(turn) < 0.02)
    left, right = ~still & (turn > 0.1), ~still & (turn < -0.1)
    kinds = {"still": still, "straight": ~(still | left | right), "left": left, "right": right}
    return {name: float(np.mean(kind)) for name, kind in kinds.items()}


def _episodes(
    bag: Path, options: BuildOptions, chosen: dict[str, str] | None, left_out: Counter[str], damage: list[str]
) -> Iterator[Episode]:
    with BagReader(bag) as reader:
        try:
            roles = find_camera_and(reader.topics.values(), chosen)._replace(diagnostics=None, action=None)
        except UserError as error:
            raise UserError(f"{bag}: {error}") from error
        if roles.command is None:
            raise UserError(f"{bag} has no command topic, so nothing can be learnt from it; leave it out")
        current: _Open | None = None
        last_ns, due_ns = 0, 0
        period_ns = round(1e9 / options.rate_hz) if options.rate_hz else 0
        samples = align(reader.events(roles), int(options.delay_ms * 1e6), int(options.tolerance_ms * 1e6))
        for sample in samples:
            stamp_ns = sample.frame.stamp_ns
            instruction = options.instruction or sample.instruction or ""
            reason = _unusable(sample, instruction, options.who)
            broken = stamp_ns - last_ns > _GAP_NS or stamp_ns < last_ns
            last_ns = stamp_ns
            if current is not None and (
                reason in _ENDING
                or broken
                or instruction != current.instruction
                or len(current.jpegs) >= options.most_frames
            ):
                yield from _finished(current, options, left_out)
                current = None
            if reason:
                left_out[reason] += 1
                continue
            if current is None:
                current, due_ns = _Open(instruction), stamp_ns
            if period_ns and stamp_ns < due_ns - min(_JITTER_NS, period_ns // 4):
                left_out["above the rate"] += 1
                continue
            on_time = abs(stamp_ns - due_ns) < period_ns
            due_ns = (due_ns if on_time else stamp_ns) + period_ns
            at_s = (stamp_ns - reader.start_ns) / 1e9
            try:
                _append(current, sample, options)
            except ImageError as error:
                reader.undecodable.skip(sample.frame.topic, at_s, str(error))
                left_out["that cannot be decoded"] += 1
            except UserError as error:
                raise UserError(f"{bag}: {sample.frame.topic} at {at_s:.1f} s: {error}") from error
        if current is not None:
            yield from _finished(current, options, left_out)
        needed = (roles.image, roles.command, None if options.instruction else roles.instruction)
        for topic in needed:
            if topic is not None and reader.undecodable.all_of(topic):
                raise UserError(
                    f"{bag}: {reader.undecodable.about(topic)}, so nothing can be learnt from it; leave it out"
                )
        damage += _damage_notes(reader)


def _damage_notes(reader: BagReader) -> list[str]:
    """What could not be read of a bag, after its end."""
    notes = [f"{reader.path} is damaged: {reader.damage.message}"] if reader.damage is not None else []
    if reader.unreadable:
        notes.append(f"{reader.path}: {reader.unreadable}")
    if reader.undecodable.skipped:
        notes.append(f"{reader.path}: {reader.undecodable.message}; skipped")
    return notes


_ENDING = ("not driven", "driven by another")


def _unusable(sample: AlignedFrame, instruction: str, who: str) -> str:
    """Why a frame is in no episode; empty when it is usable."""
    if sample.mode is not None:
        mode, source = sample.mode.values.get("mode", ""), sample.mode.values.get("source", "")
        if mode not in DRIVING:
            return "not driven"
        if who != "any" and who not in (mode, source):
            return "driven by another"
    if not instruction:
        return "without an instruction"
    if sample.command is None:
        return "without a command near them"
    return ""


def _append(episode: _Open, sample: AlignedFrame, options: BuildOptions) -> None:
    command = sample.command
    assert command is not None
    jpeg = _jpeg(sample.frame, options)
    with Image.open(BytesIO(jpeg)) as picture:  # reads the header only
        size = picture.size
    if episode.size not in ((0, 0), size):
        old, new = (f"{width}x{height}" for width, height in (episode.size, size))
        raise UserError(f"the camera picture changes from {old} to {new}; use --width, or leave the bag out")
    episode.size = size
    episode.stamps.append(sample.frame.stamp_ns)
    episode.actions.append((command.linear_mps, command.lateral_mps, command.angular_radps))
    episode.jpegs.append(jpeg)


def _jpeg(frame: BagFrame, options: BuildOptions) -> bytes:
    """A recorded JPEG goes over unchanged unless it has to be scaled; half a picture is refused as `ImageError`."""
    if frame.encoding == "jpeg":
        _check_whole(frame.data)
        if not options.width:
            return bytes(frame.data)
    pixels = rgb(frame)
    if options.width and options.width != pixels.shape[1]:
        height = round(pixels.shape[0] * options.width / pixels.shape[1])
        pixels = cv2.resize(pixels, (options.width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, options.quality])
    return data.tobytes()


def _check_whole(jpeg: bytes | memoryview) -> None:
    """Pillow refuses what OpenCV fills up with grey; an eighth of the size is the cheapest way to read to the end."""
    try:
        with Image.open(BytesIO(jpeg)) as picture:
            picture.draft("L", (picture.width // 8, picture.height // 8))
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"the JPEG is damaged ({error})") from error


def _finished(episode: _Open, options: BuildOptions, left_out: Counter[str]) -> Iterator[Episode]:
    if len(episode.jpegs) >= options.least_frames:
        yield episode.closed()
    else:
        left_out["in episodes that are too short"] += len(episode.jpegs)
