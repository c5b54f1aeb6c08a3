"""The message types of one bag. Each definition is parsed by itself, so that a bad one costs its own topics alone."""

from __future__ import annotations

from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from mobile_vla.bags.definitions import named_types, standard_types

_IDL_SEPARATOR = f"{'=' * 80}\n"
_IDL_HEADING = "IDL: "
_HASH_VERSION = "RIHS01_"
MSG, IDL = "ros2msg", "ros2idl"


def plain_type(name: str) -> str:
    """`sensor_msgs/Image`, as early ROS 2 and ROS 1 wrote it, is `sensor_msgs/msg/Image`."""
    package, slash, rest = name.partition("/")
    return f"{package}/msg/{rest}" if slash and "/" not in rest else name


class BagTypes:
    """Decodes messages by the definitions of a bag; by the common interfaces where it has none."""

    def __init__(self) -> None:
        self._own: Typestore = get_typestore(Stores.EMPTY)
        self.refused: dict[str, str] = {}
        """Why a type's definition cannot be used, by type."""

    def learn(self, kind: str, text: str, encoding: str = MSG, type_hash: str = "") -> None:
        """Take the definition of `pkg/msg/Name` as a bag carries it; `refused` names one that cannot be used."""
        if kind in self._own.fielddefs or kind in self.refused:
            return
        try:
            self._register(kind, text, encoding, type_hash)
        except TypesysError as error:
            self._own.fielddefs.pop(kind, None)
            self.refused[kind] = f"the definition of {kind} in the bag cannot be used: {error}"

    def knows(self, kind: str) -> bool:
        """Whether messages of a type can be decoded."""
        return kind in self._own.fielddefs or (kind not in self.refused and kind in standard_types().fielddefs)

    def message(self, data: bytes, kind: str, ros1: bool = False) -> Any:
        """One message. Raises rosbags' `SerdeError`."""
        if not self.knows(kind):
            raise SerdeError(self.refused.get(kind, f"nothing says what a {kind} looks like"))
        store = self._own if kind in self._own.fielddefs else standard_types()
        return store.deserialize_ros1(data, kind) if ros1 else store.deserialize_cdr(data, kind)

    def _register(self, kind: str, text: str, encoding: str, type_hash: str) -> None:
        try:
            self._own.register(self._needed(kind, _parsed(kind, text, encoding)))
            self._own.get_msgdef(kind)  # compiles the decoder, which is where a strange definition shows
        except Exception as error:
            # grammar and compiler raise TypesysError, ValueError, SyntaxError, KeyError, RecursionError
            raise TypesysError(_short(error)) from error
        if type_hash.startswith(_HASH_VERSION) and self._own.hash_rihs01(kind) != type_hash:
            raise TypesysError(f"its hash is not the {type_hash} of its publisher")

    def _needed(self, kind: str, parsed: dict[str, Any]) -> dict[str, Any]:
        """A type with all it is made of; parts that the bag does not define are those of the common interfaces."""
        if kind not in parsed:
            raise TypesysError("it defines another type")
        common = standard_types().fielddefs
        known = {**common, **self._own.fielddefs, **parsed}
        reached = _reached(kind, known)
        for name in reached - known.keys():
            raise TypesysError(f"it uses {name}, which is not defined")
        return {name: known[name] for name in reached if name in parsed or name not in self._own.fielddefs}


def _parsed(kind: str, text: str, encoding: str) -> dict[str, Any]:
    if encoding == MSG:
        return dict(get_types_from_msg(text, kind))
    if encoding == IDL:
        return {name: fields for part in _idl_parts(text) for name, fields in get_types_from_idl(part).items()}
    raise TypesysError(f"it is written in {encoding}, not in {MSG} or {IDL}")


def _idl_parts(text: str) -> list[str]:
    if not text.startswith(_IDL_SEPARATOR + _IDL_HEADING):
        return [text]
    return [part.partition("\n")[2] for part in text.split(_IDL_SEPARATOR)[1:]]


def _reached(kind: str, definitions: dict[str, Any]) -> set[str]:
    """A type and all it is made of, as far as they are defined. Raises `TypesysError` where one contains itself."""
    found: set[str] = set()
    path: list[str] = []
    waiting: list[tuple[str, int]] = [(kind, 0)]
    while waiting:
        name, depth = waiting.pop()
        del path[depth:]
        if name in path:
            raise TypesysError(f"{name} contains itself")
        if name in found:
            continue
        found.add(name)
        path.append(name)
        parts = named_types(definitions[name][1]) if name in definitions else set()
        waiting += [(part, depth + 1) for part in sorted(parts)]
    return found


def _short(error: Exception) -> str:
    """The first line of what a parser says, without the text that it quotes."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return "it cannot be parsed" if line.startswith("Could not parse") else line
