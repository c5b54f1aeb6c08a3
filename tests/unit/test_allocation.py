"""Freed memory is used again: counted in page faults of a process of its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, sys
from mobile_vla.allocation import keep_large_blocks
if sys.argv[1] == "keep":
    assert keep_large_blocks()
for _ in range(3):
    bytes(bytearray(8_000_000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    block = bytearray(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True).stdout)


def test_large_blocks_are_kept() -> None:
    assert faults("keep") < faults("do not") / 5
