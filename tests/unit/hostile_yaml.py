"""Hostile YAML files that every reader must refuse quickly and with one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


_DOUBLING = b"a0: &a0 [x, x]\n" + b"".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n".encode() for i in range(1, 40)
)
HOSTILE: dict[str, Callable[[Path], object]] = {
    "aliases that expand": _bytes(_DOUBLING),
    "nesting": _bytes(b"a: " + b"[" * 3000),
    "digits": _bytes(b"a: " + b"9" * 5000),
    "two equal keys": _bytes(b"a: 1\na: 2\n"),
    "a tag": _bytes(b"a: !!python/object/apply:os.system [id]\n"),
    "a merge key": _bytes(b"<<: {a: 1}\n"),
    "a date that is none": _bytes(b"a: !!timestamp 2024-13-45\n"),
    "a surrogate": _bytes(b'a: "\\ud800"\n'),
    "two documents": _bytes(b"a: 1\n---\nb: 2\n"),
    "a group as a key": _bytes(b"? [a, b]\n: 1\n"),
    "not text": _bytes(b"\xff\xfe\x00\x80"),
    "control characters": _bytes(b"\x00\x01"),
    "too large": _bytes(b"a: 1\n" * 200_000),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
}
