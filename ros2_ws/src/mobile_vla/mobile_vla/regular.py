"""Opening what must be a regular file: a FIFO, a socket or a device would block, or never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mobile_vla.errors import UserError

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LONGEST_SHOWN = 200


class FileError(UserError):
    """A file that cannot be read; one sentence that begins with its path."""


def expanded(path: str | Path) -> Path:
    """The path with `~` written out; one of a user whom nobody knows stays as it is, and is then not found."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (raises RuntimeError there)


def refuse_path(path: Path) -> None:
    """Raise `FileError` for a path that can name no file, whatever it is for: too long, a loop of links, a null."""
    try:
        path.stat()
    except ValueError:
        raise FileError(f"{str(path)!r} is not a path (it contains a null character); check the path") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise FileError(path_sentence(error)) from None


def path_sentence(error: OSError) -> str:
    """What the system said of a file, as one sentence that begins with the path."""
    named = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(error.filename)
    shown = named if len(named) <= _LONGEST_SHOWN else f"{named[:_LONGEST_SHOWN]}... ({len(named)} characters)"
    return f"{shown}: {error.strerror or error}; check the path"


def open_regular(path: Path) -> int:
    """A descriptor open for reading, which the caller closes. Never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise FileError(f"{str(path)!r} is not a path (it contains a null character); check the path") from None
    except OSError as error:
        # a socket cannot be opened at all
        kind = kind_of(path)
        raise FileError(
            f"{path} is {kind}, not a file; name a file"
            if kind
            else f"{path}: {error.strerror or error}; check the path"
        ) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((words for test, words in _KINDS if test(mode)), "no regular file")
        raise FileError(f"{path} is {kind}, not a file; name a file")
    return descriptor


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The bytes of a small file; more than `max_bytes` are refused before they are read."""
    with os.fdopen(open_regular(path), "rb") as file:
        try:
            data = file.read(max_bytes + 1)
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror or error}; copy it again") from None
    if len(data) > max_bytes:
        raise FileError(f"{path} is larger than {max_bytes} bytes, the most that is read here; name another file")
    return data


def read_text(path: Path, max_bytes: int) -> str:
    """The same as UTF-8 text."""
    try:
        return read_regular(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not a text file; name another file") from None


def kind_of(path: Path) -> str:
    """What a path is that is no regular file, in words; empty for a file and for nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    return next((words for test, words in _KINDS if test(mode)), "")
