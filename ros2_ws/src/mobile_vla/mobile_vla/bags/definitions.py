"""Message definitions and their hashes: what makes a bag readable without our code."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore


class Definition(NamedTuple):
    """`encoding` is ros2msg; empty where the definition is not known: then a reader must know the type itself."""

    encoding: str
    text: str
    type_hash: str


@functools.lru_cache(maxsize=1)
def standard_types() -> Typestore:
    """The types of the common interfaces, as every supported distribution has them."""
    return get_typestore(Stores.ROS2_KILTED)


def definition_of(message_type: str, share_dirs: Iterable[Path] = ()) -> Definition:
    """The definition of `pkg/msg/Name`: from the common interfaces, else from installed packages (`<prefix>/share`)."""
    known = standard_types()
    if message_type in known.fielddefs:
        return Definition(
            "ros2msg", known.generate_msgdef(message_type, ros_version=2)[0], known.hash_rihs01(message_type)
        )
    store = get_typestore(Stores.ROS2_KILTED)
    if _register_installed(message_type, tuple(share_dirs), store):
        return Definition(
            "ros2msg", store.generate_msgdef(message_type, ros_version=2)[0], store.hash_rihs01(message_type)
        )
    return Definition("", "", "")


def _register_installed(message_type: str, share_dirs: tuple[Path, ...], store: Typestore) -> bool:
    """Register a type and everything it is made of from installed .msg files; False when a file is missing."""
    package, _, name = message_type.partition("/msg/")
    path = next((p for d in share_dirs if (p := d / package / "msg" / f"{name}.msg").is_file()), None)
    if path is None:
        return False
    types = get_types_from_msg(path.read_text(encoding="utf-8"), message_type)
    for needed in named_types(types[message_type][1]):
        if needed not in store.fielddefs and not _register_installed(needed, share_dirs, store):
            return False
    store.register(types)
    return True


def named_types(fields: object) -> set[str]:
    """Every `pkg/msg/Name` inside a field list of the type system, at any depth."""
    if isinstance(fields, str):
        return {fields} if "/" in fields else set()
    if isinstance(fields, (list, tuple)):
        return {name for item in fields for name in named_types(item)}
    return set()
