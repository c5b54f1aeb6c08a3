"""Raw CDR messages into a rosbag2 folder that every rosbag2 reader opens.

The folder is written as `<name>.recording` and gets its name when it is complete. After a crash the `.recording`
folder is what is left; `mobile_vla.bags.recover` finishes it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import yaml

from mobile_vla.bags import metadata
from mobile_vla.bags.definitions import Definition, definition_of
from mobile_vla.bags.mcap_storage import McapStorage
from mobile_vla.bags.sqlite_storage import SqliteStorage
from mobile_vla.bags.storage import Storage, StorageError
from mobile_vla.bags.types import Qos
from mobile_vla.errors import UserError
from mobile_vla.files import WriteError

SUFFIX = ".recording"
_RESERVE = ".reserve"
_RESERVE_BYTES = 4 * 1024 * 1024
_EXTENSION = {"mcap": "mcap", "sqlite3": "db3"}


class _Topic:
    def __init__(self, name: str, message_type: str, definition: Definition, qos: Qos) -> None:
        self.name = name
        self.type = message_type
        self.definition = definition
        self.qos = qos
        self.id_in_file: int | None = None


class _File:
    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.start_ns = 0
        self.end_ns = 0
        self.counts: dict[str, int] = {}
        self.count = 0
        self.complete = False

    def count_message(self, topic: str, log_ns: int) -> None:
        self.start_ns = min(self.start_ns, log_ns) if self.counts else log_ns
        self.end_ns = max(self.end_ns, log_ns) if self.counts else log_ns
        self.counts[topic] = self.counts.get(topic, 0) + 1
        self.count += 1

    def entry(self) -> metadata.RecordedFile:
        return metadata.RecordedFile(self.storage.path.name, self.start_ns, self.end_ns, self.count)


class BagWriter:
    """Writes one bag. One thread at a time. `finish` completes it, `abandon` removes it.

    As a context manager: finished at the end, abandoned when the block raises.
    """

    def __init__(
        self,
        folder: Path,
        *,
        storage: str = "mcap",
        compression: str = "zstd",
        chunk_kb: int = 4096,
        split_mb: int = 0,
        split_s: float = 0.0,
        metadata_version: int = 0,
        share_dirs: Iterable[Path] = (),
    ) -> None:
        self.folder = folder
        self.custom: dict[str, str] = {}
        """Goes into metadata.yaml as custom_data."""
        self.lost: int = 0
        """Messages that a full disk count_message back after they had been accepted."""
        self._storage = storage
        self._compression = compression
        self._chunk_kb = chunk_kb
        self._split_bytes = split_mb * 1_000_000
        self._split_ns = int(split_s * 1e9)
        self._version = metadata_version or metadata.version_for()
        self._share_dirs = tuple(share_dirs)
        self._topics: dict[str, _Topic] = {}
        self._done: list[metadata.RecordedFile] = []
        self._counts_done: Counter[str] = Counter()
        self._temporary = folder.with_name(folder.name + SUFFIX)
        self._failed = False
        self._make_folder()
        try:
            self._file = self._open_file()
        except OSError as error:
            self.abandon()
            raise _cannot_record(folder.parent, error) from error

    def add_topic(self, name: str, message_type: str, qos: Qos = Qos()) -> bool:  # noqa: B008  (immutable)
        """Announce a topic; False when its definition is not known: then a reader must know the type itself."""
        if name in self._topics:
            if self._topics[name].type != message_type:
                raise UserError(
                    f"{name} is recorded as {self._topics[name].type}, got a {message_type}; record one of them"
                )
            return bool(self._topics[name].definition.text)
        topic = _Topic(name, message_type, definition_of(message_type, self._share_dirs), qos)
        self._topics[name] = topic
        return bool(topic.definition.text)

    def write(self, topic: str, log_ns: int, data: bytes) -> None:
        """Append one message; raises `StorageError` when the disk refuses, after which only `finish` makes sense."""
        known = self._topics[topic]
        try:
            if self._must_split(log_ns):
                self._close_file()
                self._file = self._open_file()
            storage = self._file.storage
            if known.id_in_file is None:
                known.id_in_file = storage.add_topic(known.name, known.type, known.definition, known.qos)
            storage.write(known.id_in_file, log_ns, data)
        except OSError as error:
            self._fail(error)
        self._file.count_message(topic, log_ns)

    def flush(self) -> None:
        """What was written until here survives a kill."""
        try:
            self._file.storage.flush()
        except OSError as error:
            self._fail(error)

    @property
    def size_bytes(self) -> int:
        """Bytes in the current file, as far as they have reached it."""
        return self._file.storage.size_bytes

    @property
    def message_count(self) -> int:
        return sum(file.messages for file in self._done) + self._file.count

    @property
    def counts(self) -> dict[str, int]:
        """Messages by topic."""
        counts = {name: self._counts_done.get(name, 0) for name in self._topics}
        for name, count in self._file.counts.items():
            counts[name] += count
        return counts

    def finish(self) -> Path:
        """Complete the bag and give it its name; `StorageError` when the disk refuses that."""
        try:
            return self._finish()
        except (OSError, WriteError) as error:
            reason = error.reason if isinstance(error, WriteError) else error.strerror or error
            raise StorageError(
                f"{self.folder} could not be completed: {reason}; run `vla record --recover` on it"
            ) from error

    def _finish(self) -> Path:
        (self._temporary / _RESERVE).unlink(missing_ok=True)
        if not self._failed:
            try:
                self._close_file()
            except OSError as error:
                with contextlib.suppress(StorageError):  # salvaged; `lost` says how much is missing
                    self._fail(error)
        if not self._file.complete:
            self._complete_file(self._file.entry())
        metadata.write(self._temporary, self._information())
        self._temporary.rename(self.folder)
        return self.folder

    def abandon(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon()

    def _make_folder(self) -> None:
        for taken in (self.folder, self._temporary):
            if taken.exists():
                raise UserError(f"{taken} exists already; choose another name or remove it")
        try:
            self._temporary.mkdir(parents=True)
            with (self._temporary / _RESERVE).open("wb") as reserve:
                reserve.write(bytes(_RESERVE_BYTES))
        except OSError as error:
            self.abandon()
            raise _cannot_record(self.folder.parent, error) from error

    def _open_file(self) -> _File:
        path = self._temporary / f"{self.folder.name}_{len(self._done)}.{_EXTENSION[self._storage]}"
        for topic in self._topics.values():
            topic.id_in_file = None
        if self._storage == "sqlite3":
            return _File(SqliteStorage(path, self._version))
        try:
            return _File(McapStorage(path, self._version, self._compression, self._chunk_kb))
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def _must_split(self, log_ns: int) -> bool:
        file = self._file
        too_big = 0 < self._split_bytes <= file.storage.size_bytes
        too_long = 0 < self._split_ns <= log_ns - file.start_ns
        return file.count > 0 and (too_big or too_long)

    def _close_file(self) -> None:
        """Finish the current file; its counts move to those of the finished ones."""
        for topic in self._topics.values():
            if topic.id_in_file is None:  # a topic without a message is still a topic of the bag
                topic.id_in_file = self._file.storage.add_topic(topic.name, topic.type, topic.definition, topic.qos)
        entry = self._file.entry()
        information = metadata.bag_information(
            self._version, self._storage, self._recorded_topics(), [*self._done, entry], self.custom
        )
        self._file.storage.close(yaml.safe_dump(information, sort_keys=False))
        self._complete_file(entry)

    def _complete_file(self, entry: metadata.RecordedFile) -> None:
        """Move the current file to the finished ones."""
        self._done.append(entry)
        self._counts_done.update(self._file.counts)
        self._file.counts, self._file.count = {}, 0
        self._file.complete = True

    def _fail(self, error: OSError) -> None:
        """Keep what the disk has of the current file and say what happened."""
        self._failed = True
        (self._temporary / _RESERVE).unlink(missing_ok=True)
        if not self._file.complete:
            try:
                kept = self._file.storage.salvage()
            except OSError:  # nothing can be written at all: what is there stays for `vla record --recover`
                kept = {}
            self.lost = self._file.count - sum(kept.values())
            self._file.counts, self._file.count = kept, sum(kept.values())
        raise StorageError(
            f"writing {self._file.storage.path.name} failed: {error.strerror or error}; "
            f"{self.message_count} messages are kept, free space on the disk and record again"
        ) from error

    def _information(self) -> dict[str, object]:
        return metadata.bag_information(self._version, self._storage, self._recorded_topics(), self._done, self.custom)

    def _recorded_topics(self) -> list[metadata.RecordedTopic]:
        counts = self.counts
        return [
            metadata.RecordedTopic(topic.name, topic.type, topic.definition.type_hash, topic.qos, counts[topic.name])
            for topic in self._topics.values()
        ]


def _cannot_record(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot record into {folder}: {error.strerror or error}; choose another out_dir")
