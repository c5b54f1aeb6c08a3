"""The latched emergency stop as a small file, so that a controller that ends for whatever reason latches it again.

Written only when what is latched changes, after the zero has left, and without waiting for the disk: it has to outlive
the process, not the machine. What cannot be read counts as a stop; what cannot be written is named and never fatal.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from mobile_vla.control import Latched, Pressed
from mobile_vla.files import FileError, WriteError, read_text, write_text

MOST_BYTES = 100_000
BEFORE = " (latched before this controller started)"


class LatchFile:
    """One controller's file: domain and full name tell it from others of the same run folder."""

    def __init__(self, folder: Path, domain_id: int, node: str) -> None:
        self.path = folder / f"estop_{domain_id}{node.replace('/', '.')}.json"
        self.error = ""
        self._kept: Latched | None = None
        self._left_behind = False

    @property
    def left_behind(self) -> str:
        """Why the next controller will boot latched although nothing is latched here; empty when it will not."""
        return self.error if self._left_behind else ""

    def load(self) -> Latched | None:
        """What another process left latched; None when nothing. Says already now when nothing can be left here."""
        try:
            self._own_folder()
            if not os.path.lexists(self.path):
                self._check_writable()
                return None
            text = read_text(self.path, MOST_BYTES)
        except OSError as error:
            self._blame("read", error)
            return None
        except FileError as error:
            self._blame("read", str(error))
            self._kept = Latched(f"the file of the last emergency stop, {self.path}, cannot be read")
            return self._kept
        try:
            self._kept = _parsed(text)
        except (ValueError, TypeError, KeyError, RecursionError):
            self._kept = Latched(f"the file of the last emergency stop, {self.path}, is damaged")
            return self._kept
        cause = self._kept.cause.removesuffix(BEFORE) + BEFORE
        return self._kept._replace(cause=cause)

    def keep(self, latched: Latched | None) -> None:
        """Make the file say what is latched now; no file when nothing is."""
        if latched == self._kept:
            if self._left_behind and not os.path.lexists(self.path):
                self._left_behind, self.error = False, ""
            return
        self._kept, self._left_behind = latched, False
        try:
            if latched is None:
                self._remove()
            else:
                self._write(json.dumps(latched._asdict()))
                self.error = ""
        except OSError as error:
            self._blame("written", error)
        except FileError as error:
            self._blame("written", error.reason if isinstance(error, WriteError) else str(error))

    def _remove(self) -> None:
        self.error = ""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self._left_behind = os.path.lexists(self.path)
            if not self._left_behind:
                raise
            self.error = (
                f"the file of the last emergency stop, {self.path}, cannot be removed ({error.strerror or error}), so "
                f"that every next controller boots with the stop latched; remove it by hand: rm -r '{self.path}'"
            )

    def _write(self, text: str) -> None:
        self._own_folder()
        if self.path.is_symlink() or not self.path.is_file():  # nobody's: it would keep a stop from being written
            self.path.unlink(missing_ok=True)
        write_text(self.path, text)

    def _own_folder(self) -> None:
        """Nobody else may leave or remove a stop here: the folder below /tmp could be another user's."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.path.parent} belongs to another user")

    def _check_writable(self) -> None:
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            self._blame("written", "no permission")

    def _blame(self, what: str, error: OSError | str) -> None:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        self.error = (
            f"an emergency stop would not outlive this controller: {self.path} cannot be {what} ({reason}); "
            "set MOBILE_VLA_RUN_FOLDER to a folder of this user"
        )


def _parsed(text: str) -> Latched:
    content = json.loads(text)
    cause = content["cause"]
    pressed = tuple(Pressed(writer, name) for writer, name in content["pressed"])
    words = (cause, *(word for device in pressed for word in device if word is not None))
    if not all(isinstance(word, str) for word in words):
        raise TypeError("a word is no text")
    return Latched(cause, pressed)
