"""The video of one recorded drive."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.bags.images import rgb
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles
from mobile_vla.bags.types import BagFrame
from mobile_vla.control.modes import REASONS
from mobile_vla.errors import UserError
from mobile_vla.evaluate.drive import RecordedDrive, at
from mobile_vla.evaluate.video import Caption, Overlay, VideoWriter

MAX_RATE_HZ = 15.0


def write_drive_video(
    reader: BagReader,
    roles: Roles,
    drive: RecordedDrive,
    path: Path,
    *,
    warning: str = "",
    rate_hz: float = MAX_RATE_HZ,
) -> int:
    """Write `path` from the drive's start on; how many frames went in. Frames between two shown ones are skipped, the
    times stay true.
    """
    overlay = Overlay(_limits(drive), list(zip(drive.track.x, drive.track.y, strict=True)))
    due_s = -1.0
    with VideoWriter(path, rate_hz) as writer:
        images = roles._replace(**{role: None for role in roles._fields if role != "image"})
        for event in reader.events(images, start_ns=drive.start_ns):
            t = (event.log_ns - drive.start_ns) / 1e9
            if not isinstance(event, BagFrame) or t < due_s:
                continue
            due_s = max(due_s, t - 1 / rate_hz) + 1 / rate_hz if due_s >= 0 else t + 1 / rate_hz
            try:
                picture = rgb(event)
            except UserError:
                continue  # one damaged frame does not end the video; the gap stays visible in it
            writer.write(overlay.draw(picture, caption_at(drive, t, warning)), t)
    return writer.frames


def caption_at(drive: RecordedDrive, t: float, warning: str) -> Caption:
    """What was true at time `t`."""
    told = at([told.t for told in drive.instructions], t)
    stretch = at([stretch.start for stretch in drive.stretches], t)
    action, command, odometry = (at(times, t) for times in (drive.actions.t, drive.commands.t, drive.track.t))
    now = drive.stretches[stretch] if stretch is not None else None
    return Caption(
        t,
        drive.instructions[told].text if told is not None else "",
        now.mode if now else "",
        now.source if now else "",
        REASONS.get(now.reason, now.reason) if now else "",
        None if action is None else (drive.actions.linear[action], drive.actions.second[action]),
        None if command is None else (drive.commands.linear[command], drive.commands.second[command]),
        None if odometry is None else (drive.track.linear[odometry], drive.track.angular[odometry]),
        []
        if odometry is None
        else list(zip(drive.track.x[: odometry + 1 : 5], drive.track.y[: odometry + 1 : 5], strict=True)),
        warning,
    )


def _limits(drive: RecordedDrive) -> tuple[float, float]:
    """Speeds that fill the bars: the largest seen."""
    linear = [abs(value) for value in (*drive.commands.linear, *drive.track.linear)]
    angular = [abs(value) for value in (*drive.commands.second, *drive.track.angular)]
    return max(linear, default=0.5), max(angular, default=1.0)
