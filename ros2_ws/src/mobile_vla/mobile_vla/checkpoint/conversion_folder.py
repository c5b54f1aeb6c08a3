"""The folder that a conversion works in: beside its target, locked while it is in use, removed afterwards.

The lock dies with the process, so what a killed conversion left behind is recognised and removed by the next one in
the same folder, and two conversions to one target cannot run at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla.files import made_parents

PREFIX = ".converting."
_LOCK = "lock"


@contextmanager
def conversion_folder(target: Path) -> Iterator[Path]:
    """An empty folder on the target's file system, this process's own until the end of the block. Folders that were
    made above it are removed again after an exception.
    """
    folder = target.parent / f"{PREFIX}{target.name}"
    with ExitStack() as stack:
        try:
            stack.enter_context(made_parents(target))
            lock = _acquire(folder)
            if lock is None:
                raise UserError(
                    f"{target} is being written by another conversion; wait for it, or choose another destination"
                )
            for entry in folder.iterdir():
                if entry.name != _LOCK:
                    _remove(entry)
        except OSError as error:
            raise UserError(
                f"cannot work in {target.parent}: {error.strerror or error}; choose another destination"
            ) from None
        try:
            remove_abandoned(target.parent)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of conversions that were killed; those of running ones are locked and stay."""
    for folder in parent.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            lock = _acquire(folder)
        except OSError:  # somebody else's folder
            continue
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _acquire(folder: Path) -> int | None:
    """The descriptor of the folder's lock, or None where another process holds it."""
    file = folder / _LOCK
    while True:
        folder.mkdir(exist_ok=True)
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except FileNotFoundError:  # the folder was removed between the two calls
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            granted = os.path.samestat(file.stat(), os.fstat(lock))
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            granted = False
        except OSError:
            os.close(lock)
            raise
        if granted:
            return lock
        os.close(lock)  # of a folder that its previous owner was just removing


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
