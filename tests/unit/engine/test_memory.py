"""What a process says about its memory."""

from __future__ import annotations

from mobile_vla.engine.memory import own_memory

MB = 1 << 20


def test_own_memory_tells_anonymous_from_the_rest() -> None:
    before = own_memory()
    block = bytearray(b"x" * (64 * MB))
    after = own_memory()
    assert len(block) <= after["anonymous"] - before["anonymous"] < 2 * len(block) + 8 * MB
    assert after["file_backed"] > MB
