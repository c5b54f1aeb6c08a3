"""safetensors files, single or sharded. The header is read here, because the library lets the last of two equal keys
win and maps a file by its name; what it refuses is refused too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.checkpoint.source import Container, SourceError, TensorInfo, check_names, shown
from mobile_vla.files import FileError, read_text

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
METADATA = "__metadata__"
_LENGTH = 8
# the published policy's header has 0.2 MB, an index of its shards 0.1 MB
MAX_HEADER = 8 << 20
# more bytes than any disk has, and far from the end of a 64-bit integer
_LARGEST = 1 << 50


class _Placed(NamedTuple):
    """Where one tensor lies."""

    file: HeldFile
    start: int
    info: TensorInfo


class SafetensorsSource:
    """One or several safetensors files as one set of tensors, held open."""

    def __init__(self, path: Path, shards: Mapping[str, set[str] | None], opened: Mapping[str, HeldFile]) -> None:
        """`shards`: file name -> names that the index promises in it, None where there is no index. `opened`: files
        that are open already, by the same names.
        """
        self.path = path
        self.held = tuple(opened[name] if name in opened else _shard(path.parent / name) for name in shards)
        self._placed: dict[str, _Placed] = {}
        metadata: dict[str, str] = {}
        for file, promised in zip(self.held, shards.values(), strict=True):
            entries, described = _read_header(file)
            metadata.update(described)
            if absent := (promised or set()) - entries.keys():
                raise SourceError(
                    f"{path} promises {shown(min(absent))} in {file.path.name}, where it is not; copy all files again"
                )
            if promised is not None and (extra := entries.keys() - promised):
                raise SourceError(
                    f"{file.path} holds {shown(min(extra))}, which {path} does not list; copy all files of one save"
                )
            if doubled := entries.keys() & self._placed.keys():
                raise SourceError(f"{min(doubled)} is in two shards of {path}; keep the shards of one save only")
            self._placed.update(entries)
        check_names(path, self._placed.keys())
        self.tensors = {name: placed.info for name, placed in self._placed.items()}
        self.container = Container(
            format="safetensors" if len(self.held) == 1 else f"safetensors in {len(self.held)} shards",
            metadata=metadata,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file with weights in it."""
        return tuple(file.path for file in self.held)

    def read(self, name: str) -> Tensor:
        """The tensor in the file's own pages."""
        file, start, info = self._placed[name]
        return file.mapped(start, info.dtype, info.elements).view(info.shape)

    def copy(self, name: str) -> Tensor:
        """The tensor in memory of its own."""
        file, start, info = self._placed[name]
        return file.copied(start, info.dtype, info.elements).view(info.shape)


def _shard(path: Path) -> HeldFile:
    try:
        return HeldFile(path)
    except FileError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise SourceError(f"shard {path} does not exist; copy all files of the checkpoint") from None
        raise SourceError(f"shard {error}") from None


def read_index(path: Path) -> dict[str, set[str] | None]:
    """The shards that a `*.safetensors.index.json` names, with the tensors it promises in each."""
    index = _json(read_text(path, MAX_HEADER), str(path))
    mapping = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise SourceError(
            f"{path} has no weight_map, so it is not an index of safetensors shards; name the weights file"
        )
    shards: dict[str, set[str] | None] = {}
    for name, file in sorted(mapping.items(), key=lambda item: str(item[1])):
        if not isinstance(file, str) or Path(file).name != file or not file.isprintable():
            raise SourceError(
                f"{path} names the shard {repr(file)[:60]}, which is not a file name beside it; correct the index"
            )
        promised = shards.setdefault(file, set())
        if promised is not None:
            promised.add(name)
    return shards


def header_length(file: HeldFile) -> int:
    """The length of the JSON header, checked against the file."""
    length = int.from_bytes(file.bytes_at(0, min(_LENGTH, file.size)), "little")
    if length > min(MAX_HEADER, file.size - _LENGTH):
        raise SourceError(
            f"{file.path} is truncated or damaged (its header says {length} bytes, at most "
            f"{min(MAX_HEADER, max(file.size - _LENGTH, 0))} can be); copy it again"
        )
    return length


def data_start(file: HeldFile) -> int:
    """Where the tensors begin."""
    return _LENGTH + header_length(file)


def _read_header(file: HeldFile) -> tuple[dict[str, _Placed], dict[str, str]]:
    length = header_length(file)
    where = f"the header of {file.path}"
    try:
        header = _json(file.bytes_at(_LENGTH, length).decode("utf-8"), where)
    except UnicodeDecodeError:
        raise SourceError(f"{where} is damaged (not a text); copy it again") from None
    if not isinstance(header, dict):
        raise SourceError(f"{where} is damaged (no group of tensors); copy it again")
    metadata = header.pop(METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SourceError(f"{where} is damaged ({METADATA} must hold texts); copy it again")
    check_names(file.path, header.keys())
    size = file.size - _LENGTH - length
    placed: dict[str, _Placed] = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        info, start, stop = _entry(f"{file.path}: {name}", entry)
        if stop > size:
            raise SourceError(
                f"{file.path} is truncated or damaged ({name} ends at byte {stop} of the data, which has {size}); "
                f"copy it again"
            )
        spans.append((start, stop, name))
        placed[name] = _Placed(file, _LENGTH + length + start, info)
    _check_spans(file.path, spans, size)
    return placed, metadata


def _entry(where: str, entry: Any) -> tuple[TensorInfo, int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise SourceError(f"{where} does not say dtype, shape and data_offsets in the header; copy it again")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise SourceError(f"{where} is stored as {repr(dtype)[:40]}, which is not supported; convert it")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise SourceError(f"{where} has no usable shape or data_offsets in the header; copy it again")
    info = TensorInfo(_DTYPES[dtype], tuple(shape))
    start, stop = offsets
    if stop - start != info.elements * info.dtype.itemsize:
        raise SourceError(
            f"{where} has {stop - start} bytes, its shape and number format need "
            f"{info.elements * info.dtype.itemsize}; copy it again"
        )
    return info, start, stop


def _whole_numbers(values: Any) -> bool:
    """Whether this is a short list of numbers that can be sizes."""
    return (
        isinstance(values, list)
        and len(values) <= 8
        and all(type(value) is int and 0 <= value <= _LARGEST for value in values)
        and math.prod(value for value in values if value) <= _LARGEST**2
    )


def _check_spans(path: Path, spans: list[tuple[int, int, str]], size: int) -> None:
    """Each byte of the data belongs to exactly one tensor, as the format asks."""
    spans = [(0, 0, "the header"), *sorted(spans), (size, size, "the end of the file")]
    for (_, stop, one), (start, _, other) in pairwise(spans):
        if start < stop:
            raise SourceError(f"{path}: {one} and {other} overlap; convert the original again")
        if start > stop:
            raise SourceError(
                f"{path} is damaged ({start - stop} bytes between {one} and {other} belong to no tensor); copy it again"
            )


def _json(text: str, where: str) -> Any:
    """JSON in which no key is given twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise SourceError(f"{where} has {key[:60]!a} twice; keep one of the two, none is preferred")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise SourceError(f"{where} is nested too deeply; copy it again") from None
    except ValueError as error:
        raise SourceError(f"{where} is not readable JSON ({str(error)[:120]}); copy it again") from None
