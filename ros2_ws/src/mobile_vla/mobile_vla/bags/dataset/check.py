"""Checks a data set before training."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.dataset.build import motion_shares
from mobile_vla.bags.dataset.episode import Episode
from mobile_vla.bags.dataset.manifest import EpisodeEntry, Manifest
from mobile_vla.errors import UserError

STUCK_S = 1.0
"""A picture that stays identical this long while the robot is commanded to move."""
SAME_PICTURE_BITS = 3
LEAK_SHARE = 0.02
_ONE_SIDED = 0.75
_STANDING = 0.6
_FEW_FRAMES = 1000


class DatasetFinding(NamedTuple):
    """`level` is error (do not train on it) or warning (know it)."""

    level: str
    what: str
    message: str


def check(manifest: Manifest) -> list[DatasetFinding]:
    """Look at every episode once; memory holds 8 bytes a frame."""
    findings: list[DatasetFinding] = []
    prints: dict[str, list[NDArray[np.uint64]]] = defaultdict(list)
    actions: list[NDArray[np.float32]] = []
    for entry in manifest.episodes:
        episode = manifest.read(entry)
        hashes = np.array([_fingerprint(jpeg, entry) for jpeg in episode.jpegs], np.uint64)
        prints[entry.split].append(hashes)
        findings += _broken(entry, episode) + _stuck(entry, episode, hashes)
        if entry.split == "train":
            actions.append(episode.actions)
    findings += _overlaps(manifest)
    findings += _leaks({split: np.concatenate(parts) for split, parts in prints.items()})
    if missing := manifest.missing_split():
        findings.append(DatasetFinding("error", "split", f"{missing}."))
    if actions:
        findings += _balance(np.concatenate(actions))
    findings += _instructions(manifest)
    return findings


def _broken(entry: EpisodeEntry, episode: Episode) -> list[DatasetFinding]:
    found = []
    if not np.isfinite(episode.actions).all():
        found.append(DatasetFinding("error", "not finite", f"{entry.file} has actions that are not numbers."))
    if np.any(np.diff(episode.stamps_ns) <= 0):
        found.append(DatasetFinding("error", "time", f"{entry.file} has stamps that do not increase."))
    if len(episode.actions) > 1 and np.ptp(episode.actions, axis=0).max() < 1e-6:
        values = ", ".join(f"{value:.2f}" for value in episode.actions[0])
        found.append(DatasetFinding("warning", "constant", f"{entry.file} has one command throughout ({values})."))
    return found


def _stuck(entry: EpisodeEntry, episode: Episode, hashes: NDArray[np.uint64]) -> list[DatasetFinding]:
    """Identical pictures while the robot should move."""
    moving = np.abs(episode.actions).max(axis=1) > 0.05
    start: int | None = None
    for index in range(1, len(hashes) + 1):
        same = index < len(hashes) and episode.jpegs[index] == episode.jpegs[index - 1] and bool(moving[index])
        if same and start is None:
            start = index - 1
        elif not same and start is not None:
            seconds = float(episode.stamps_ns[index - 1] - episode.stamps_ns[start]) / 1e9
            if seconds >= STUCK_S:
                at = float(episode.stamps_ns[start] - episode.stamps_ns[0]) / 1e9
                text = (
                    f"{entry.file}: the picture is frozen for {seconds:.1f} s from {at:.1f} s on while the robot moves."
                )
                return [DatasetFinding("error", "stuck camera", text)]
            start = None
    return []


def _overlaps(manifest: Manifest) -> list[DatasetFinding]:
    """The same stretch of the same bag in two splits."""
    found = []
    for first in manifest.episodes:
        for second in manifest.episodes:
            if (
                first.split < second.split
                and first.bag == second.bag
                and first.start_ns <= second.end_ns
                and second.start_ns <= first.end_ns
            ):
                text = f"{first.file} ({first.split}) and {second.file} ({second.split}) overlap in {first.bag}."
                found.append(DatasetFinding("error", "leak", text))
    return found


def _leaks(prints: dict[str, NDArray[np.uint64]]) -> list[DatasetFinding]:
    """Pictures of one split that look like pictures of the training split."""
    train = prints.get("train")
    found: list[DatasetFinding] = []
    if train is None:
        return found
    known = np.unique(train)
    for split in ("val", "test"):
        seen = prints.get(split)
        if seen is None:
            continue
        share = float(np.mean([_near(one, known) for one in seen]))
        if share > LEAK_SHARE:
            text = f"{share:.0%} of the pictures in {split} look like one in train; split by recording, not within one."
            found.append(DatasetFinding("warning", "leak", text))
    return found


def _balance(actions: NDArray[np.float32]) -> list[DatasetFinding]:
    found = []
    shares = motion_shares(actions)
    turning = shares["left"] + shares["right"]
    listed = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    if turning and max(shares["left"], shares["right"]) > _ONE_SIDED * turning and turning > 0.05:
        side = "left" if shares["left"] > shares["right"] else "right"
        found.append(
            DatasetFinding("warning", "balance", f"Turns go mostly {side} ({listed}); mirror frames or record more.")
        )
    if turning <= 0.05:
        found.append(DatasetFinding("warning", "balance", f"There are hardly any turns ({listed})."))
    if shares["still"] > _STANDING:
        found.append(DatasetFinding("warning", "balance", f"The robot stands most of the time ({listed})."))
    if len(actions) < _FEW_FRAMES:
        found.append(DatasetFinding("warning", "size", _too_few(len(actions))))
    return found


def _too_few(frames: int) -> str:
    only = "is only 1 training frame" if frames == 1 else f"are only {frames} training frames"
    return f"There {only}: too few to train a policy on (less than {_FEW_FRAMES}); record more."


def _instructions(manifest: Manifest) -> list[DatasetFinding]:
    counts = Counter(entry.instruction for entry in manifest.of_split("train"))
    unknown = sorted({entry.instruction for entry in manifest.episodes if entry.split != "train"} - set(counts))
    found = []
    if unknown:
        count = "1 instruction occurs" if len(unknown) == 1 else f"{len(unknown)} instructions occur"
        text = f"{count} in val or test only, for example {unknown[0]!r}."
        found.append(DatasetFinding("warning", "instructions", text))
    if len(counts) == 1:
        found.append(
            DatasetFinding("warning", "instructions", "There is one instruction only: language cannot be learnt.")
        )
    return found


def _fingerprint(jpeg: bytes, entry: EpisodeEntry) -> int:
    """64 bits: is each cell of a 9 x 8 thumbnail brighter than its right neighbour."""
    try:
        grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    except cv2.error:  # nothing at all, or a size beyond every camera's
        grey = None
    if grey is None:
        raise UserError(f"{entry.file} has a frame that is no picture; build the data set again")
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = (small[:, :-1] > small[:, 1:]).reshape(-1)
    return int(np.packbits(bits).view(np.uint64)[0])


def _near(one: np.uint64, known: NDArray[np.uint64]) -> bool:
    differing = np.unpackbits((known ^ one).view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    return bool(differing.min() <= SAME_PICTURE_BITS)
