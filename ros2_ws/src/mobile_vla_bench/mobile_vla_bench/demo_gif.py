"""The video of a demo as a small animated GIF for the first page: fewer frames, played faster, few colours.

python -m mobile_vla_bench.demo_gif out/demo-…/video.mp4 docs/images/demo.gif
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary

RATE_HZ = 5.0
SPEED_UP = 2.0
WIDTH = 600
COLOURS = 128


def frames_of(video: Path, from_s: float, every_s: float, width: int) -> Iterator[Image.Image]:
    """One frame per `every_s` of the video from `from_s` on, scaled to `width`."""
    with av.open(str(video)) as container:
        due_s = from_s
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < due_s:
                continue
            due_s += every_s
            picture = frame.to_image()
            yield picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.BOX)


def make_gif(video: Path, target: Path, *, from_s: float = 0.0, speed_up: float = SPEED_UP, width: int = WIDTH) -> int:
    """Write the GIF and return its number of frames. All frames share one palette, so that colours do not flicker."""
    if not video.is_file():
        raise UserError(f"{video} is no file; name the video.mp4 of a demo")
    frames = list(frames_of(video, from_s, speed_up / RATE_HZ, width))
    if not frames:
        raise UserError(f"{video} has no frame after {from_s:g} s; choose an earlier --from-s")
    palette = _palette(frames)
    few = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    with atomic_binary(target) as file:
        few[0].save(
            file, "GIF", save_all=True, append_images=few[1:], duration=round(1000 / RATE_HZ), loop=0, optimize=True
        )
    return len(few)


def _palette(frames: list[Image.Image]) -> Image.Image:
    """Colours of the whole drive; a frequent colour counts by its root, so that the arrows keep theirs."""
    chosen = np.concatenate([np.asarray(frame).reshape(-1, 3) for frame in frames[:: max(1, len(frames) // 8)]])
    colours, counts = np.unique(chosen >> 2 << 2, axis=0, return_counts=True)
    sample = np.repeat(colours, np.ceil(np.sqrt(counts)).astype(int), axis=0)
    return Image.fromarray(sample[None]).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1)


def main() -> None:
    """Make the GIF that the command names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("gif", type=Path)
    parser.add_argument("--from-s", type=float, default=0.0)
    parser.add_argument("--speed-up", type=float, default=SPEED_UP)
    parser.add_argument("--width", type=int, default=WIDTH)
    args = parser.parse_args()
    make_gif(args.video, args.gif, from_s=args.from_s, speed_up=args.speed_up, width=args.width)


if __name__ == "__main__":
    main()
