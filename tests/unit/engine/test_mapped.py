"""A file that is replaced, truncated or copied over while a policy uses it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from mobile_vla.checkpoint.held import HeldFile
from mobile_vla.engine.load import load
from mobile_vla.engine.mapped import MappedWeights
from mobile_vla.engine.probe import INSTRUCTION, frames
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.engine.synthetic import SyntheticSpec, synthesize
from mobile_vla.engine.torch_engine import policy_of
from mobile_vla.policy.interface import StepError, weights_error


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "live")
    return tmp_path / "live/documented.safetensors"


def policy(path: Path) -> StreamingPolicy:
    return policy_of(load(path), 1)


def test_weights_of_their_own_do_not_notice_anything(file: Path) -> None:
    ours = policy(file)
    before = ours.raw(frames(1, 1)[0], INSTRUCTION)
    os.truncate(file, 0)
    ours.reset()
    assert ours.raw(frames(1, 1)[0], INSTRUCTION) == before
    assert weights_error(ours) == ""


def test_mapped_weights_are_not_used_after_a_write(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobile_vla.engine.load.available_memory", lambda: 0)
    monkeypatch.setattr(HeldFile, "guard", lambda self: False)
    ours = policy(file)
    assert "replace it with mv, never with cp; this file system holds up no writers" in ours.description["notes"][-1]
    ours.step(frames(1, 1)[0], INSTRUCTION)
    os.utime(file, ns=(0, 0))
    assert "was written to" in weights_error(ours)
    for _ in range(2):
        with pytest.raises(StepError, match="was written to after it was opened"):
            ours.step(frames(1, 1)[0], INSTRUCTION)


def leases_work(folder: Path) -> bool:
    path = folder / "lease"
    path.touch()
    held = HeldFile(path)
    return held.guard()


def test_a_writer_waits_until_the_mapped_weights_are_no_longer_used(tmp_path: Path) -> None:
    if not leases_work(tmp_path):
        pytest.skip("this file system has no leases")
    path = tmp_path / "weights"
    path.write_bytes(bytes(100_000))
    held = HeldFile(path)
    weights = MappedWeights([held])
    tensor = held.mapped(0, torch.uint8, 100_000)
    assert weights.require() == ""
    writer = threading.Thread(target=path.write_bytes, args=(b"short",))
    writer.start()
    deadline = time.monotonic() + 20
    while not weights.error() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "is about to be written to" in weights.error()
    assert writer.is_alive()
    assert int(tensor.sum()) == 0  # the pages are still there
    assert "is about to be written to" in weights.require()
    writer.join(20)
    assert path.read_bytes() == b"short"
    assert "is about to be written to" in weights.require()


def test_writers_go_on_when_the_mapped_weights_are_gone(tmp_path: Path) -> None:
    if not leases_work(tmp_path):
        pytest.skip("this file system has no leases")
    path = tmp_path / "weights"
    path.write_bytes(b"x")
    held = HeldFile(path)
    weights = MappedWeights([held])
    assert not held.wanted_by_writer()
    del weights
    assert fcntl.fcntl(held.descriptor, fcntl.F_GETLEASE) == fcntl.F_UNLCK


def test_a_lease_signal_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"x")
    held = HeldFile(path)
    if not held.guard():
        pytest.skip("this file system has no leases")
    with pytest.raises(BlockingIOError):
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    assert held.wanted_by_writer()
    for _ in range(2):  # a lease that is gone already is no error
        held.release()
    assert fcntl.fcntl(held.descriptor, fcntl.F_GETLEASE) == fcntl.F_UNLCK


RUN = """
import sys, time
from pathlib import Path
from mobile_vla.engine import load as loading
from mobile_vla.engine.probe import INSTRUCTION, frames
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.engine.torch_engine import TorchExecutor
from mobile_vla.policy.interface import StepError
if sys.argv[2] == "mapped":
    loading.available_memory = lambda: 0
loaded = loading.load(Path(sys.argv[1]))
policy = StreamingPolicy(loaded.card, TorchExecutor(loaded, 1))
def answer():
    policy.reset()
    try:
        return repr(policy.raw(frames(1, 1)[0], INSTRUCTION))
    except StepError as error:
        return f"refused: {error}"
print(answer(), flush=True)
for line in sys.stdin:
    print(answer(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "deed"),
    [("memory", "cp of another policy"), ("memory", "truncate"), ("mapped", "truncate"), ("mapped", "mv")],
)
def test_a_running_policy_survives_what_happens_to_its_file(file: Path, tmp_path: Path, mode: str, deed: str) -> None:
    """A real process steps while a real `cp`, `mv` or `truncate` meets its file: it lives, and never acts otherwise."""
    other = tmp_path / "other.safetensors"
    synthesize(other, SyntheticSpec("tiny", "documented", seed=1))
    words = {
        "truncate": ["truncate", "-s", "0", file],
        "cp of another policy": ["cp", other, file],
        "mv": ["mv", other, file],
    }[deed]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(file), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("(")
        written = subprocess.Popen(list(map(str, words)))
        for _ in range(20):
            process.stdin.write("again\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            safe = answer == first or (mode == "mapped" and answer.startswith("refused: ") and deed != "mv")
            assert safe, answer
            if written.poll() is not None:
                break
            time.sleep(0.05)
        written.wait(60)
        process.stdin.write("again\n")
        process.stdin.flush()
        last = process.stdout.readline()
        assert (last == first) == (mode == "memory" or deed == "mv"), last
        process.stdin.close()
    assert process.returncode == 0
