"""The status of the inference node among everything on /diagnostics, at the cost of that one status.

Decoding an array of 200 statuses takes longer than half a tick, and the controller needs one of them. So the message
stays as it is on the wire (CDR: lengths and characters, numbers at multiples of four), and only the status with the
wanted name is read out of it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from mobile_vla_ros.failures import Undecodable

HEADER_BYTES = 4
MOST_VALUES = 500


class NamedStatus(NamedTuple):
    """What a node says about itself."""

    message: str
    values: Mapping[str, str]


def status_named(name: str, data: bytes) -> NamedStatus | None:
    """The last status of this name in a serialised DiagnosticArray, None without one; raises `Undecodable`."""
    if len(data) < HEADER_BYTES:
        raise Undecodable(f"{len(data)} bytes that are no DiagnosticArray")
    number = struct.Struct("<I" if data[1] & 1 else ">I")
    encoded = name.encode() + b"\0"
    begin = data.rfind(number.pack(len(encoded)) + encoded)
    if begin < 0:
        return None
    reader = _Reader(data, begin, number)
    try:
        reader.text()
        message = reader.text()
        reader.text()
        count = reader.number()
        if count > MOST_VALUES:
            raise Undecodable(f"a status with {count} values, more than {MOST_VALUES}")
        return NamedStatus(message, {reader.text(): reader.text() for _ in range(count)})
    except struct.error as error:
        raise Undecodable("a DiagnosticArray that ends in the middle of a status") from error


class _Reader:
    """Strings and numbers one after another."""

    def __init__(self, data: bytes, position: int, number: struct.Struct) -> None:
        self._data, self._position, self._number = data, position, number

    def number(self) -> int:
        self._position += -(self._position - HEADER_BYTES) % self._number.size
        value: int = self._number.unpack_from(self._data, self._position)[0]
        self._position += self._number.size
        return value

    def text(self) -> str:
        length = self.number()
        if length > len(self._data) - self._position:
            raise Undecodable("a DiagnosticArray that ends in the middle of a text")
        begin, self._position = self._position, self._position + length
        return self._data[begin : begin + max(0, length - 1)].decode(errors="replace")
