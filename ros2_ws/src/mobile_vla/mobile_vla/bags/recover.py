"""Complete a bag after its recorder was killed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

from mobile_vla.bags import metadata
from mobile_vla.bags.definitions import definition_of
from mobile_vla.bags.intact import DamagedBagError, IntactBag
from mobile_vla.bags.lenient import LenientFile
from mobile_vla.bags.mcap_seal import seal
from mobile_vla.bags.sqlite_tables import foreign_tables
from mobile_vla.bags.storage_files import storage_files
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import SUFFIX
from mobile_vla.errors import UserError


def recover(folder: Path) -> tuple[Path, int, int]:
    """Complete the files in place, write metadata.yaml, drop the `.recording` suffix.

    Returns the bag's path, the messages in it, and the bytes that were cut off.
    """
    files = storage_files(folder)
    if not files:
        raise UserError(f"{folder} holds no .mcap or .db3 file; name the folder of a bag")
    (folder / ".reserve").unlink(missing_ok=True)
    cut = 0
    recorded: list[metadata.RecordedFile] = []
    counts: Counter[tuple[str, str]] = Counter()
    qos: dict[str, Qos] = {}
    for path in files:
        if path.suffix == ".mcap":
            cut += seal(path).cut_bytes
        else:
            _remove_leftovers(path)
        start, end, count = 0, 0, 0
        file = LenientFile(path)
        for message in file.messages():
            start = min(start, message.log_ns) if count else message.log_ns
            end = max(end, message.log_ns) if count else message.log_ns
            count += 1
        cut += file.bytes_lost
        counts.update(file.counts)
        qos.update(_qos_in(path))
        recorded.append(metadata.RecordedFile(path.name, start, end, count))
    topics = [
        metadata.RecordedTopic(name, kind, definition_of(kind).type_hash, qos.get(name, Qos()), count)
        for (name, kind), count in counts.items()
    ]
    storage = "mcap" if files[0].suffix == ".mcap" else "sqlite3"
    metadata.write(
        folder, metadata.bag_information(metadata.version_for(), storage, topics, recorded, {"recovered": "true"})
    )
    final = folder.with_name(folder.name.removesuffix(SUFFIX))
    if final != folder:
        if final.exists():
            raise UserError(f"{folder} is complete now, but {final} exists already; rename one of them")
        folder.rename(final)
    return final, sum(counts.values()), cut


def _remove_leftovers(path: Path) -> None:
    """Opening a killed sqlite3 file for writing rolls its journal back."""
    try:
        with sqlite3.connect(path) as database:
            if foreign := foreign_tables(database):
                raise UserError(f"{path} cannot be recovered: it is not what rosbag2 writes: {foreign}; copy it again")
            database.execute("SELECT count(*) FROM topics").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be recovered: {error}") from error


def _qos_in(file: Path) -> dict[str, Qos]:
    """What each topic's publishers offered, as the completed file says; readers compare it with metadata.yaml."""
    try:
        bag = IntactBag(file)
    except DamagedBagError:
        return {}
    bag.close()
    return {name: topic.qos for name, topic in bag.topics.items() if topic.qos is not None}
