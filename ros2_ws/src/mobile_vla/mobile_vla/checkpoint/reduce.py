"""Layer-reduced variants: an experiment that says so in its card, never a fallback.

`--keep kosmos.text=12` keeps 12 of the layers, evenly spread from the first to the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.checkpoint.source import TensorInfo
from mobile_vla.errors import UserError, nearest

STACKS = {
    "kosmos.text": "kosmos_model.text_model.model.layers",
    "kosmos.vision": "kosmos_model.vision_model.model.encoder.layers",
    "clip.text": "clip_model.text_model.encoder.layers",
    "clip.vision": "clip_model.vision_model.encoder.layers",
}


def kept_layers(layout: Layout, keep: Mapping[str, int]) -> dict[str, list[int]]:
    """Which layers of each named stack stay."""
    depth = {
        "kosmos.text": layout.kosmos.text.layers,
        "kosmos.vision": layout.kosmos.vision.layers,
        "clip.text": layout.clip.text.layers,
        "clip.vision": layout.clip.vision.layers,
    }
    kept = {}
    for stack, count in keep.items():
        if stack not in STACKS:
            raise UserError(f"--keep: unknown stack '{stack}'; {nearest(stack, STACKS)}")
        if not 1 <= count < depth[stack]:
            raise UserError(
                f"--keep {stack}={count}: the stack has {depth[stack]} layers; keep from 1 to {depth[stack] - 1}"
            )
        last = depth[stack] - 1
        kept[stack] = [round(index * last / (count - 1)) for index in range(count)] if count > 1 else [last]
    return kept


def describe_reduction(kept: Mapping[str, list[int]], layout: Layout) -> str:
    """What the card says about the change."""
    depth = {"kosmos": layout.kosmos, "clip": layout.clip}
    parts = []
    for stack, layers in kept.items():
        tower, _, part = stack.partition(".")
        total = getattr(depth[tower], part).layers
        parts.append(f"{stack} keeps {len(layers)} of {total} layers ({', '.join(map(str, layers))})")
    return "layers removed: " + "; ".join(parts)


class ReducedContents(Contents):
    """Tensors without the removed layers, the remaining ones renumbered."""

    def __init__(self, full: Contents, kept: Mapping[str, list[int]]) -> None:
        self.source, self.prefixes, self.open_clip, self.dropped = (
            full.source,
            full.prefixes,
            full.open_clip,
            full.dropped,
        )
        self._full = full
        self._names = _renumbered(full.tensors, kept)
        self.tensors = {name: full.tensors[original] for name, original in self._names.items()}

    def read(self, name: str) -> Tensor:
        """One tensor under its new name."""
        return self._full.read(self._names[name])

    def copy(self, name: str) -> Tensor:
        """The same in memory of its own."""
        return self._full.copy(self._names[name])


def _renumbered(tensors: Mapping[str, TensorInfo], kept: Mapping[str, list[int]]) -> dict[str, str]:
    """New name -> old name."""
    patterns = {stack: re.compile(rf"({re.escape(STACKS[stack])}\.)(\d+)(\..*)") for stack in kept}
    names = {}
    for name in tensors:
        stack, match = next(
            ((stack, match) for stack, pattern in patterns.items() if (match := pattern.fullmatch(name))), ("", None)
        )
        if match is None:
            names[name] = name
        elif int(match[2]) in kept[stack]:
            names[f"{match[1]}{kept[stack].index(int(match[2]))}{match[3]}"] = name
    return names
