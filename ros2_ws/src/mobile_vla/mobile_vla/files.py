"""Files: open what must be a regular one, write so that a file or a folder is there complete or not at all.

A FIFO, a socket or a device would block, or never end: it is neither read nor replaced. What grows for hours and has
to survive a kill keeps a way of its own: bags (`bags.writer`, `<name>.recording`) and conversions (a locked folder).
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from mobile_vla.errors import UserError

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LONGEST_SHOWN = 200
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SUFFIX = ".part"


class FileError(UserError):
    """A file that cannot be read or written; one sentence that begins with its path."""


class WriteError(FileError):
    """The system refused to write; `reason` is what it said."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        remedy = "free some space, or choose another place" if error.errno in _FULL else "choose another place"
        super().__init__(f"{path} cannot be written ({self.reason}); {remedy}")


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
            raise FileError(path_error_message(error)) from None


def path_error_message(error: OSError) -> str:
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


def not_a_file(path: Path) -> str:
    """Why a path names no regular file, as the end of a sentence; empty for one."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            return "is a link to itself"
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"cannot be read ({error.strerror or error})"
        return "does not exist"
    return "" if stat.S_ISREG(mode) else f"is {kind_of(path) or 'no regular file'}, not a file"


def check_place(path: Path) -> None:
    """Refuse a path that is no place for a file."""
    refuse_path(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is {kind_of(path)}, not a file; name a file")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a temporary file that the block writes and that becomes `path` at its end.

    After an exception `path` is what it was before, and nothing else is left. Missing folders above are made. A file
    that is replaced passes its permissions on; a link is replaced, not followed.
    """
    with _write_errors(path):
        check_place(path)
        temporary = _beside(path)
        with made_parents(path):
            try:
                yield temporary
                with suppress(FileNotFoundError):
                    temporary.chmod(stat.S_IMODE(path.stat().st_mode) & 0o777)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_binary(path: Path, *, sync: bool = False) -> Iterator[BinaryIO]:
    """A file to write bytes to, complete or not at all; with `sync` it is on the disk before it gets its name."""
    with replacing(path) as temporary, temporary.open("xb") as file:
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def atomic_text(path: Path, *, newline: str | None = None) -> Iterator[TextIO]:
    """A file to write UTF-8 text to, complete or not at all."""
    with replacing(path) as temporary, temporary.open("x", encoding="utf-8", newline=newline) as file:
        yield file


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """A text file, complete or not at all."""
    with atomic_binary(path, sync=sync) as file:
        file.write(text.encode())


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder that the block fills and that becomes `path` at its end; `path` must be missing or empty.

    After an exception nothing is left. What a killed process left of an earlier attempt is removed.
    """
    refuse_path(path)
    target = path.resolve()
    with _write_errors(target):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise FileError(f"{path} exists and is not an empty folder; name a new one, nothing is overwritten")
        with made_parents(target):
            _remove_abandoned(target)
            folder, lock = _new_folder(target)
            try:
                yield folder
                folder.rename(target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                if lock is not None:
                    os.close(lock)


@contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`; an exception removes those that were made again, where they are empty."""
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            try:
                folder.rmdir()
            except OSError:  # never made, or somebody put something into it
                break
        raise


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """What the system says of `path`, its folders and its temporary file becomes a `WriteError`; the rest passes."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, (str, bytes)):
            named = Path(os.fsdecode(error.filename))
            beside = str(path.with_name(f".{path.name}."))
            if named != path and named not in path.parents and not str(named).startswith(beside):
                raise
        raise WriteError(path, error) from error


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")


def _new_folder(target: Path) -> tuple[Path, int | None]:
    """A temporary folder and the descriptor that marks it as in use, until the process ends."""
    while True:
        folder = _beside(target)
        folder.mkdir()
        try:
            lock = _lock(folder)
        except (BlockingIOError, FileNotFoundError):  # another process has just taken it for abandoned
            continue
        if lock is None or folder.exists():
            return folder, lock
        os.close(lock)


def _remove_abandoned(target: Path) -> None:
    """Remove temporary folders of processes that were killed; those in use are locked."""
    for folder in target.parent.glob(f".{glob.escape(target.name)}.*{_SUFFIX}"):
        try:
            lock = _lock(folder)
        except OSError:  # in use, or no folder
            continue
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that locks the folder; `BlockingIOError` when another has it, None where nothing can be locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # some network file systems
        os.close(descriptor)
        return None
    return descriptor
