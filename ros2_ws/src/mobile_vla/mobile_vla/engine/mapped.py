"""Weights that a running policy uses from the file's own pages, because memory of its own would not hold them.

Somebody who writes into such a file changes the policy, and a truncation ends the process. So the kernel is asked to
hold up writers (a lease; it does so for up to 45 s), and before every step the owner looks whether somebody waits or
has written. From then on the weights are never touched again.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from mobile_vla.checkpoint.held import HeldFile


class MappedWeights:
    """The mapped files of one policy. Empty where the weights are in memory of their own."""

    def __init__(self, files: Sequence[HeldFile]) -> None:
        self._files = tuple(files)
        self._guarded = tuple(file for file in self._files if file.guard())
        self._lost = ""
        weakref.finalize(self, _release, self._guarded)

    @property
    def note(self) -> str:
        """What a person should know, empty when there is nothing."""
        if not self._files:
            return ""
        names = ", ".join(file.path.name for file in self._files[:3])
        rest = "" if len(self._guarded) == len(self._files) else "; this file system holds up no writers"
        return f"used from {names} itself (too large for the free memory): replace it with mv, never with cp{rest}"

    def error(self) -> str:
        """Empty, or why the weights must not be used any more. For any thread."""
        if self._lost:
            return self._lost
        for file in self._files:
            if error := file.changed():
                return error
        for file in self._guarded:
            if file.wanted_by_writer():
                return f"{file.path} is about to be written to; load the policy again, and replace files with mv"
        return ""

    def require(self) -> str:
        """The same for the thread that uses the weights, which lets writers go on once it stops using them."""
        if not self._lost and (error := self.error()):
            self._lost = error
            _release(self._guarded)
        return self._lost


def _release(files: Sequence[HeldFile]) -> None:
    for file in files:
        file.release()
