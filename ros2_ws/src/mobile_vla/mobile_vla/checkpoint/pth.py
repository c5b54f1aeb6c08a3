"""PyTorch's own zip files, read without running anything that is in them.

`weights_only=True` always, and only after `pickle_scan` has read what the pickle would do. Training scripts leave an
`argparse.Namespace` and numpy scalars beside the weights, which PyTorch refuses by default; exactly these harmless
names are allowed, everything else is an error that names it.

PyTorch only says which tensor is where. The data is read from the held file, each record against its own CRC32.
"""

from __future__ import annotations

import argparse
import codecs
import collections
import pathlib
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.checkpoint.pickle_scan import MAX_BYTES, scan
from mobile_vla.checkpoint.source import Container, SourceError, TensorInfo, check_names
from mobile_vla.checkpoint.zip_records import Record, read_records

CONTAINER_KEYS = ("model_state_dict", "state_dict", "model")
OPTIMIZER_KEYS = ("optimizer_state_dict", "optimizer", "optimizer_states", "scheduler_state_dict", "lr_scheduler")
_PICKLE = "data.pkl"
_LONGEST_KEY = 60
_NUMBERS = frozenset(f"{order}{kind}" for order in ("", "<") for kind in ("f2", "f4", "f8", "i4", "i8", "b1"))


def _scalar(dtype: np.dtype[Any], data: bytes = b"") -> Any:
    """One numpy number from its bytes."""
    if not isinstance(dtype, np.dtype) or len(data) != dtype.itemsize:
        raise ValueError("a numpy scalar that is no number")
    return np.frombuffer(data, dtype)[0]


def _dtype(kind: str, *_: object) -> np.dtype[Any]:
    """A numpy number format; no strings or structures, whose size the file would choose."""
    if kind not in _NUMBERS:
        raise ValueError(f"a numpy array of {kind!a}")
    return np.dtype(kind)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as protocol 2 writes them; other codecs could double their input, again and again."""
    if encoding != "latin1" or not isinstance(text, str):
        raise ValueError("bytes that are not written as latin1")
    return codecs.encode(text, "latin1")


def _path(*parts: str) -> pathlib.PurePosixPath:
    """A path from texts."""
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("a path of paths")
    return pathlib.PurePosixPath(*parts)


# Data without behaviour: building one of these from a file runs no code of the file's choice, and takes no more memory
# than the file has.
_NAMED: tuple[tuple[Callable[..., Any], str], ...] = (
    (argparse.Namespace, "argparse.Namespace"),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    (_dtype, "numpy.dtype"),
    (_encode, "_codecs.encode"),
    (collections.defaultdict, "collections.defaultdict"),
    (_path, "pathlib.PurePosixPath"),
    (_path, "pathlib.PosixPath"),
    (_path, "pathlib.Path"),
    (_path, "pathlib._local.PosixPath"),
    *((type(np.dtype(kind)), f"numpy.dtypes.{type(np.dtype(kind)).__name__}") for kind in sorted(_NUMBERS)),
)
ALLOWED_GLOBALS: tuple[Callable[..., Any] | tuple[Callable[..., Any], str], ...] = _NAMED
_NAMES = frozenset(name for _, name in _NAMED)


class _Placed(NamedTuple):
    """A tensor as a view of one record."""

    record: Record
    dtype: torch.dtype
    elements: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class PthSource:
    """A zip-format `.pth` or `.pt`, held open. `weights` names the entry to take where there are several."""

    def __init__(self, file: HeldFile, weights: str = "") -> None:
        self.path, self.held = file.path, (file,)
        self._file = file
        records = read_records(file)
        self._checksummed = any(record.crc32 for record in records.values())
        self._checked: set[str] = set()
        root = self._load(records)
        sets = _sets_of_weights(root)
        key, state = _choose(self.path, root, sets, weights)
        check_names(self.path, state)
        for name, value in state.items():
            if not isinstance(value, Tensor):
                raise SourceError(
                    f"{self.path}: {key or 'the file'} holds {name!r}, which is {type(value).__name__} and not a "
                    f"tensor; save the state_dict only"
                )
        self.tensors = {name: TensorInfo(tensor.dtype, tuple(tensor.shape)) for name, tensor in state.items()}
        entries = {} if state is root else {name: value for name, value in root.items() if name not in {key, *sets}}
        optimizer = {name: entries.pop(name) for name in OPTIMIZER_KEYS if name in entries}
        self.container = Container(
            format="pth",
            key=key,
            entries={_key(name): value for name, value in entries.items()},
            other_weights=tuple(name for name in sets if name != key),
            optimizer_bytes=sum(tensor.nbytes for tensor in _tensors_in(optimizer)),
            notes=() if self._checksummed else ("the file was saved without checksums; damage in it is not found",),
        )
        self._placed = _place(file, state, records)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def read(self, name: str) -> Tensor:
        """The tensor in the file's own pages."""
        placed = self._placed[name]
        self._check(placed.record)
        return _view(placed, self._file.mapped(placed.record.start, placed.dtype, placed.elements))

    def copy(self, name: str) -> Tensor:
        """The tensor in memory of its own."""
        placed = self._placed[name]
        flat = self._file.copied(placed.record.start, placed.dtype, placed.elements)
        if placed.record.size:
            self._judge(placed.record, lambda: zlib.crc32(flat.view(torch.uint8).numpy().data))
        return _view(placed, flat)

    def _check(self, record: Record) -> None:
        self._judge(record, lambda: self._file.crc32(record.start, record.stop))

    def _judge(self, record: Record, found: Callable[[], int]) -> None:
        """Compare a record with its CRC32, the first time it is read."""
        if record.name in self._checked or not self._checksummed:
            return
        if (value := found()) != record.crc32:
            raise SourceError(
                f"{self.path} is damaged: the record {record.name!a} has CRC32 {value:08x}, {record.crc32:08x} was "
                f"written; copy it again"
            )
        self._checked.add(record.name)

    def _load(self, records: Mapping[str, Record]) -> Mapping[Any, Any]:
        if _PICKLE not in records:
            raise SourceError(
                f"{self.path} is a zip archive but not a PyTorch checkpoint (no data.pkl in it); name another file"
            )
        record = records[_PICKLE]
        self._check(record)
        scan(self._file.bytes_at(record.start, min(record.size, MAX_BYTES + 1)), str(self.path), _NAMES)
        order = records.get("byteorder")
        if order is not None and self._file.bytes_at(order.start, min(order.size, 6)) != b"little":
            raise SourceError(f"{self.path} was saved on a big-endian machine; save it again on this kind of machine")
        try:
            with torch.serialization.safe_globals(list(ALLOWED_GLOBALS)), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                root = torch.load(self._file.name, map_location="cpu", mmap=True, weights_only=True)
        except Exception as error:
            # torch raises RuntimeError, UnpicklingError, EOFError, KeyError and more for damaged files
            raise SourceError(f"{self.path} cannot be read as a PyTorch checkpoint ({_first(error)})") from error
        if not isinstance(root, Mapping):
            raise SourceError(f"{self.path} holds {type(root).__name__} instead of named tensors; save a state_dict")
        return root


def _first(error: Exception) -> str:
    text = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
    text = text.strip().split("\n", 1)[0][:160]
    if "out of bounds" in text or "not resizable" in text:
        return "a record is shorter than its tensor; copy it again"
    return f"{text if text.isprintable() and text else type(error).__name__}; copy it again"


def _place(file: HeldFile, state: Mapping[str, Tensor], records: Mapping[str, Record]) -> dict[str, _Placed]:
    """Which record each tensor is a view of. PyTorch has mapped the file; nothing of the mapping is read or kept."""
    starts = {record.start: record for record in records.values()}
    base = 0
    placed: dict[str, _Placed] = {}
    empty = Record("", 0, 0, 0)
    for name, tensor in state.items():
        _require_plain(file.path, name, tensor)
        storage = tensor.untyped_storage()
        shape, stride = tuple(tensor.shape), tuple(tensor.stride())
        if tensor.numel() == 0:
            placed[name] = _Placed(empty, tensor.dtype, 0, 0, shape, stride)
            continue
        base = base or _mapping_start(file, storage.data_ptr())
        record = starts.get(storage.data_ptr() - base)
        if record is None or record.size != storage.nbytes():
            size = record.size if record else 0
            raise SourceError(
                f"{file.path}: {name} declares {storage.nbytes()} bytes, its record has {size}; copy it again"
            )
        if tensor.nbytes > storage.nbytes() or record.size % tensor.itemsize:
            raise SourceError(
                f"{file.path}: {name} repeats its values (an expanded view of {storage.nbytes()} bytes); "
                f"save it with .contiguous()"
            )
        elements = record.size // tensor.itemsize
        placed[name] = _Placed(record, tensor.dtype, elements, int(tensor.storage_offset()), shape, stride)
    return placed


def _require_plain(path: Path, name: str, tensor: Tensor) -> None:
    kind = (
        "a meta tensor, which has no data"
        if tensor.is_meta
        else "a sparse tensor"
        if tensor.layout != torch.strided
        else "a quantised tensor"
        if tensor.is_quantized
        else "a nested tensor"
        if tensor.is_nested
        else "a lazily conjugated or negated tensor"
        if tensor.is_conj() or tensor.is_neg()
        else ""
    )
    if kind:
        raise SourceError(f"{path}: {name} is {kind}; save plain tensors only (dense, on the CPU)")


def _mapping_start(file: HeldFile, address: int) -> int:
    """The address at which the held file's first byte is mapped around `address`."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        span, _, offset, _, inode, *_ = line.split(maxsplit=5)
        low, high = (int(part, 16) for part in span.split("-"))
        if low <= address < high and int(inode) == file.inode:
            return low - int(offset, 16)
    raise SourceError(f"{file.path} was replaced while it was opened; try again")


def _view(placed: _Placed, flat: Tensor) -> Tensor:
    return flat.as_strided(placed.shape, placed.stride, placed.offset)


def _sets_of_weights(root: Mapping[Any, Any]) -> dict[str, Mapping[str, Any]]:
    """The entries of a container that hold tensors under dotted names, as a module tree's are."""
    return {
        key: value
        for key, value in root.items()
        if isinstance(key, str)
        and key == _key(key)
        and key not in OPTIMIZER_KEYS
        and isinstance(value, Mapping)
        and (key in CONTAINER_KEYS or any(isinstance(name, str) and "." in name for name in value))
        and any(isinstance(item, Tensor) for item in value.values())
    }


def _choose(
    path: Path, root: Mapping[Any, Any], sets: Mapping[str, Mapping[str, Any]], wanted: str
) -> tuple[str, Mapping[str, Any]]:
    if wanted:
        if wanted not in sets:
            raise SourceError(
                f"{path} has no set of weights '{wanted}'; {f'it has {_listed(sets)}' if sets else 'it has one only'}"
            )
        return wanted, sets[wanted]
    for key in CONTAINER_KEYS:
        if key in sets:
            return key, sets[key]
    if any(isinstance(value, Tensor) for value in root.values()):
        return "", root
    if sets:
        raise SourceError(
            f"{path} holds its weights as {_listed(sets)}, not as {' or '.join(CONTAINER_KEYS)}; "
            f"say which with --weights when you inspect or convert it"
        )
    raise SourceError(
        f"{path} holds {_listed(root) or 'nothing'}, none of which is a set of weights; "
        f"expected {', '.join(CONTAINER_KEYS)}"
    )


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(_key, list(names)[:6]))


def _key(name: Any) -> str:
    """A container's key as a person may see it."""
    if isinstance(name, str):
        return name if name.isprintable() and len(name) <= _LONGEST_KEY else ascii(name)[:_LONGEST_KEY]
    return str(name) if type(name) is int and name.bit_length() <= 64 else f"a key of type {type(name).__name__}"


def _tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor once, however often and however deep it is held."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, Mapping):
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item
