"""The recurrent window: only the newest frame is encoded, the LSTM runs over the last `window` from a zero state.

Carrying the LSTM's state forward for ever would be another function than the one trained; this one equals a batch run
over the last `window` frames exactly.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


class Window:
    """The last fused features, oldest first."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self._rows: deque[Tensor] = deque(maxlen=frames)

    def push(self, fused: Tensor) -> Tensor:
        """Add one frame's row (1, width); returns (1, frames so far, width)."""
        self._rows.append(fused)
        return torch.stack(tuple(self._rows), dim=1)

    def reset(self) -> None:
        """Forget every frame."""
        self._rows.clear()

    def __len__(self) -> int:
        return len(self._rows)
