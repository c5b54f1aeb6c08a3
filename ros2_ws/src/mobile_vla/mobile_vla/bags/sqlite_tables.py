"""Whether a sqlite3 file has the tables of rosbag2: a view in their place could be without end, or compute anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mobile_vla.config.safe_yaml import YamlError, check_bounds

_COLUMNS = {
    "topics": {"id": "INTEGER", "name": "TEXT", "type": "TEXT", "serialization_format": "TEXT"},
    "messages": {"id": "INTEGER", "topic_id": "INTEGER", "timestamp": "INTEGER", "data": "BLOB"},
}
_TABLES = (*_COLUMNS, "schema", "message_definitions")
# a publisher has one profile of 12 values; a topic has seldom more than 10 publishers
_PROFILE_BYTES, _PROFILE_EVENTS = 64 * 1024, 5_000


def foreign_tables(database: sqlite3.Connection) -> str:
    """Why no rows must be asked for; empty for a file that rosbag2 may have written. Raises `sqlite3.Error`."""
    for name, kind, sql in database.execute("SELECT lower(name), type, sql FROM sqlite_master"):
        if name in _TABLES and kind == "view":
            return f"`{name}` is a view, not a table"
        if name in _TABLES and kind == "table" and not str(sql).upper().startswith("CREATE TABLE"):
            return f"`{name}` is a virtual table"
    profiles = False
    for table, wanted in _COLUMNS.items():
        found = {str(row[1]).lower(): row for row in database.execute(f"PRAGMA table_xinfo({table})")}
        profiles = profiles or "offered_qos_profiles" in found
        for column, kind in wanted.items() if found else ():
            _, _, declared, _, _, key, hidden = found.get(column, (0, 0, "", 0, 0, 0, 0))
            if str(declared).upper() != kind or hidden or (column == "id" and table == "topics" and not key):
                return f"`{table}.{column}` is not the column that rosbag2 makes ({kind})"
    for (text,) in database.execute("SELECT offered_qos_profiles FROM topics") if profiles else ():
        try:
            check_bounds(str(text), _PROFILE_BYTES, _PROFILE_EVENTS)
        except YamlError as error:
            return f"`topics.offered_qos_profiles` cannot be used ({str(error).partition('; ')[0]})"
    return ""


def foreign_file(path: Path) -> str:
    """The same of a file; empty for one that is damaged, which its reader has to say."""
    try:
        database = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        try:
            return foreign_tables(database)
        finally:
            database.close()
    except sqlite3.Error:
        return ""
