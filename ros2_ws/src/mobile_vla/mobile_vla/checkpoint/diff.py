"""What differs between two checkpoints, tensor by tensor, whatever their formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.int8 import SCALE_SUFFIX, is_scale
from mobile_vla.checkpoint.opening import open_source

_ROWS = 2048


class Difference(NamedTuple):
    """One tensor that is in both files with the same shape but other values."""

    name: str
    largest: float
    relative: float


class Comparison(NamedTuple):
    """The whole answer."""

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    shape: tuple[str, ...]
    changed: tuple[Difference, ...]
    equal: int

    @property
    def same(self) -> bool:
        """Whether every tensor is in both and equal."""
        return not (self.only_first or self.only_second or self.shape or self.changed)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        changed = [difference._asdict() for difference in self.changed]
        return {**self._asdict(), "changed": changed, "same": self.same}


def compare(first: Path, second: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Comparison:
    """Compare value by value; int8 matrices are compared as the numbers they stand for."""
    one, other = Contents(open_source(first)), Contents(open_source(second))
    names, others = (_weights(contents) for contents in (one, other))
    common = [name for name in names if name in others]
    wrong = [name for name in common if one.tensors[name].shape != other.tensors[name].shape]
    changed, equal = [], 0
    for index, name in enumerate(common):
        progress(index, len(common))
        if name in wrong:
            continue
        difference = _difference(name, one, other)
        if difference is None:
            equal += 1
        else:
            changed.append(difference)
    changed.sort(key=lambda difference: -difference.relative)
    return Comparison(
        tuple(name for name in names if name not in others),
        tuple(name for name in others if name not in names),
        tuple(wrong),
        tuple(changed),
        equal,
    )


def _weights(contents: Contents) -> list[str]:
    return [name for name in contents.tensors if not is_scale(name)]


def _difference(name: str, one: Contents, other: Contents) -> Difference | None:
    """In pieces of rows, so that no tensor is widened as a whole."""
    largest = squares = reference = 0.0
    first, second = one.read(name), other.read(name)
    if first.numel() == 0:
        return None
    rows = len(first) if first.dim() else 1
    for start in range(0, rows, _ROWS):
        a, b = (_widened(contents, name, tensor, start) for contents, tensor in ((one, first), (other, second)))
        gap = a - b
        largest = max(largest, float(gap.abs().max()))
        squares += float(gap.square().sum())
        reference += float(a.square().sum())
    # `not ==` so that NaN counts as a difference
    if not squares == 0.0:  # noqa: SIM201
        return Difference(name, largest, (squares / reference) ** 0.5 if reference else float("inf"))
    return None


def _widened(contents: Contents, name: str, tensor: Tensor, start: int) -> Tensor:
    piece = (tensor[start : start + _ROWS] if tensor.dim() else tensor).double()
    if tensor.dtype == torch.int8 and f"{name}{SCALE_SUFFIX}" in contents.tensors:
        piece *= contents.read(f"{name}{SCALE_SUFFIX}")[start : start + _ROWS, None].double()
    return piece
