"""One open file of weights, held by its descriptor: whatever happens to its name, this is the file that was opened.

`mv` over the name leaves the held file as it is. `cp` over it, or a truncation, changes the held file itself: tensors
that were copied into memory of their own do not notice, mapped ones do (reading beyond a truncated end kills a
process), so `changed` is asked before they are used, and `guard` asks the kernel to hold up whoever wants to write.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import signal
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from mobile_vla.files import FileError, open_regular

_CHUNK = 4 << 20


class HeldFile:
    """A regular file, open for reading as long as this object lives. Nothing is read or mapped until asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = open_regular(path)
        weakref.finalize(self, os.close, self.descriptor)
        state = os.fstat(self.descriptor)
        self.size, self.inode, self._modified_ns = state.st_size, state.st_ino, state.st_mtime_ns
        self._map: mmap.mmap | None = None

    @property
    def name(self) -> str:
        """A path that opens this very file again, even when another one has its name by now."""
        return f"/proc/self/fd/{self.descriptor}"

    def changed(self) -> str:
        """Empty, or one sentence: somebody wrote into the file since it was opened."""
        state = os.fstat(self.descriptor)
        if (state.st_size, state.st_mtime_ns) == (self.size, self._modified_ns):
            return ""
        return (
            f"{self.path} was written to after it was opened (copied over, or truncated); "
            "load it again, and replace files with mv, never with cp"
        )

    def require_unchanged(self) -> None:
        """Raise `FileError` when somebody wrote into the file."""
        if error := self.changed():
            raise FileError(error)

    def guard(self) -> bool:
        """Ask the kernel to hold up writers (a read lease): `guarded` is then asked before the mapping is used.

        False where the file system or the file's owner does not allow it.
        """
        try:
            # the default signal, SIGIO, would end the process
            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError:
            return False
        return True

    def wanted_by_writer(self) -> bool:
        """Whether somebody waits to write into the guarded file."""
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK

    def release(self) -> None:
        """Let writers go on. Nothing is to do where the kernel, which waits 45 s for this, has let them go already."""
        with contextlib.suppress(BlockingIOError):
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def bytes_at(self, offset: int, count: int) -> bytes:
        """A small part of the file."""
        data = b"" if offset < 0 else os.pread(self.descriptor, count, min(offset, self.size))
        if len(data) != count:
            raise FileError(
                f"{self.path} is truncated or damaged (bytes {offset} to {offset + count} are not in it); copy it again"
            )
        return data

    def read_into(self, target: memoryview, offset: int) -> None:
        """Fill `target` from the file."""
        done = 0
        while done < len(target):
            count = os.preadv(self.descriptor, [target[done : done + _CHUNK]], offset + done)
            if count == 0:
                raise FileError(f"{self.path} is truncated (it ends at byte {offset + done}); copy it again")
            done += count

    def chunks(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes from `start` to `stop` in pieces, each valid until the next one."""
        buffer = memoryview(bytearray(min(_CHUNK, max(stop - start, 1))))
        for offset in range(start, stop, len(buffer)):
            piece = buffer[: min(len(buffer), stop - offset)]
            self.read_into(piece, offset)
            yield piece

    def sha256(
        self, start: int = 0, stop: int | None = None, progress: Callable[[int], None] = lambda count: None
    ) -> str:
        """sha256 of a part of the file; `progress` gets the size of every piece."""
        digest = hashlib.sha256()
        for piece in self.chunks(start, self.size if stop is None else stop):
            digest.update(piece)
            progress(len(piece))
        return digest.hexdigest()

    def crc32(self, start: int, stop: int) -> int:
        """CRC32 of a part of the file."""
        value = 0
        for piece in self.chunks(start, stop):
            value = zlib.crc32(piece, value)
        return value

    def mapped(self, offset: int, dtype: torch.dtype, count: int) -> Tensor:
        """Elements of the file as a flat tensor that lies in the file's pages; nothing is read yet."""
        self.require_unchanged()
        if count == 0:
            return torch.empty(0, dtype=dtype)
        if self._map is None:
            # private: torch wants writable memory, and nobody ever writes
            self._map = mmap.mmap(self.descriptor, self.size, flags=mmap.MAP_PRIVATE)
        return torch.frombuffer(self._map, dtype=dtype, count=count, offset=offset)

    def copied(self, offset: int, dtype: torch.dtype, count: int) -> Tensor:
        """The same in memory of its own, which no writer can reach."""
        tensor = torch.empty(count, dtype=dtype)
        if count:
            self.read_into(tensor.view(torch.uint8).numpy().data, offset)
        return tensor
