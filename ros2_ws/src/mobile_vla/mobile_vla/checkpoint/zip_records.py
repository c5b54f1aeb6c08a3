"""The records of a zip archive as `torch.save` writes them: stored, named once, one after the other."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.checkpoint.source import SourceError

MAX_RECORDS = 100_000
_LOCAL_HEADER = 30
_DESCRIPTOR = b"PK\x07\x08"
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65_535
# bytes of the shortest directory entry
_SHORTEST_ENTRY = 46


class Record(NamedTuple):
    """One record: where its data lies in the file, and the CRC32 that was written with it."""

    name: str
    start: int
    size: int
    crc32: int

    @property
    def stop(self) -> int:
        """The byte after its last one."""
        return self.start + self.size


def read_records(file: HeldFile) -> dict[str, Record]:
    """Every record by its name without the archive's own folder; refuses what `torch.save` never writes."""
    records: dict[str, Record] = {}
    for entry in _directory(file):
        name = entry.filename.partition("/")[2] or entry.filename
        if entry.compress_type != zipfile.ZIP_STORED:
            raise SourceError(
                f"{file.path}: the record {name!a} is compressed, which torch.save never does (was it packed again?); "
                f"save it with torch.save"
            )
        if entry.flag_bits & 1:
            raise SourceError(f"{file.path}: the record {name!a} is encrypted; save it with torch.save")
        if name in records:
            raise SourceError(f"{file.path} has two records named {name!a}; save it again with torch.save")
        record = Record(name, data_start(file, entry), entry.file_size, entry.CRC)
        if entry.compress_size != entry.file_size or record.stop > file.size:
            raise SourceError(
                f"{file.path}: the record {name!a} is shorter than the {entry.file_size} bytes "
                f"it declares; copy it again"
            )
        records[name] = record
    ordered = sorted(records.values(), key=lambda record: (record.start, record.stop))
    for one, other in pairwise(ordered):
        if other.start < one.stop:
            raise SourceError(
                f"{file.path}: the records {one.name!a} and {other.name!a} overlap; save it again with torch.save"
            )
    return records


def data_start(file: HeldFile, entry: zipfile.ZipInfo) -> int:
    """Where an entry's data begins, behind its local header."""
    header = file.bytes_at(entry.header_offset, _LOCAL_HEADER)
    if not header.startswith(b"PK\x03\x04"):
        raise SourceError(f"{file.path} is damaged (no header of the record {entry.filename!a}); copy it again")
    name_length, extra_length = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return entry.header_offset + _LOCAL_HEADER + name_length + extra_length


def write_crc32(path: Path, target: BinaryIO, written: Mapping[str, int]) -> None:
    """Put the CRC32 of records that were written in place where the archive keeps it. Other data records that have
    none are taken for zeros.
    """
    file = HeldFile(path)
    records = read_records(file)
    with zipfile.ZipFile(path) as archive:
        at = archive.start_dir
    for record in records.values():
        lengths = file.bytes_at(at, _SHORTEST_ENTRY)
        size = _SHORTEST_ENTRY + sum(int.from_bytes(lengths[part : part + 2], "little") for part in (28, 30, 32))
        if record.name in written or (record.crc32 == 0 and record.name.startswith("data/")):
            value = written[record.name] if record.name in written else file.crc32(record.start, record.stop)
            target.seek(at + 16)
            target.write(value.to_bytes(4, "little"))
            if file.bytes_at(record.stop, 4) == _DESCRIPTOR:
                target.seek(record.stop + 4)
                target.write(value.to_bytes(4, "little"))
        at += size


def _directory(file: HeldFile) -> list[zipfile.ZipInfo]:
    if _directory_bytes(file) > MAX_RECORDS * 4 * _SHORTEST_ENTRY:
        raise SourceError(f"{file.path} has a zip directory for more than {MAX_RECORDS} records; save the weights only")
    try:
        with os.fdopen(os.dup(file.descriptor), "rb") as raw, zipfile.ZipFile(raw) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, OverflowError):
        # a directory of random bytes is found wrong in any of these ways
        raise SourceError(f"{file.path} is truncated or damaged (no readable zip directory); copy it again") from None
    if len(entries) > MAX_RECORDS:
        raise SourceError(
            f"{file.path} has {len(entries)} records, at most {MAX_RECORDS} are read; save the weights only"
        )
    return entries


def _directory_bytes(file: HeldFile) -> int:
    """The size that the archive's end states for its directory; 0 where there is no end to find."""
    tail = min(file.size, _END_SIZE + _LONGEST_COMMENT)
    data = file.bytes_at(file.size - tail, tail)
    at = data.rfind(_END)
    size = int.from_bytes(data[at + 12 : at + 16], "little") if at >= 0 else 0
    # a zip64 archive says it elsewhere, and has more than 65,535 records or 4 GB before the directory
    return 0 if size == 0xFFFFFFFF else size
