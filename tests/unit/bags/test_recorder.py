"""The recorder without ROS: what happens when the disk is slow, full or missing, and what the ring keeps."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bag_making import START_NS, Messages

from mobile_vla.bags import recorder as module
from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.episodes import EpisodeMarker
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.recorder import Recorder
from mobile_vla.bags.ring import Ring
from mobile_vla.bags.ring_save import RingSave, SavingRing
from mobile_vla.bags.types import Qos, RawMessage
from mobile_vla.bags.writer import BagWriter
from mobile_vla.config import ConfigError

S = 1_000_000_000
TYPE = "std_msgs/msg/String"


def config(folder: Path, **values: object) -> RecorderConfig:
    return RecorderConfig(out_dir=str(folder), name="bag", **{"flush_s": 0.05, **values})  # type: ignore[arg-type]


def test_everything_offered_is_in_the_bag(tmp_path: Path, messages: Messages) -> None:
    recorder = Recorder(config(tmp_path))
    recorder.announce("/text", TYPE, Qos())
    recorder.start()
    for index in range(500):
        recorder.offer("/text", START_NS + index, messages.text(str(index)))
    assert recorder.finish() == tmp_path / "bag"
    with BagReader(tmp_path / "bag") as bag:
        assert [bag.message(m.data, m.type).data for m in bag.raw()] == [str(index) for index in range(500)]
    assert recorder.state().dropped == {}
    assert recorder.state().messages == 500


def test_a_stuck_disk_drops_and_counts(tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk hangs, offering returns at once; every message is either in the bag or counted as dropped."""
    free, hangs = threading.Event(), threading.Event()
    write = BagWriter.write

    def slow(self: BagWriter, topic: str, log_ns: int, data: bytes) -> None:
        hangs.set()
        free.wait(10)
        write(self, topic, log_ns, data)

    monkeypatch.setattr(module.BagWriter, "write", slow)
    recorder = Recorder(config(tmp_path, queue_mb=8))
    recorder.announce("/text", TYPE, Qos())
    recorder.start()
    big = messages.text("x" * 1_000_000)
    recorder.offer("/text", START_NS, big)
    assert hangs.wait(5)
    for index in range(1, 30):
        recorder.offer("/text", START_NS + index, big)
    dropped = recorder.state().dropped["/text"]
    assert dropped >= 20
    free.set()
    recorder.finish()
    with BagReader(tmp_path / "bag") as bag:
        assert bag.message_count == 30 - dropped


def test_it_stops_before_the_disk_is_full(tmp_path: Path, messages: Messages) -> None:
    free = [10**12]
    recorder = Recorder(config(tmp_path, min_free_mb=100), free_bytes=lambda folder: free[0], steady_s=lambda: 0.0)
    recorder.announce("/text", TYPE, Qos())
    recorder._record(RawMessage("/text", TYPE, START_NS, messages.text("one")))
    recorder._flush_and_check_space()
    assert recorder.state().recording
    free[0] = 50_000_000
    recorder._check_at_s = 0.0
    recorder._flush_and_check_space()
    state = recorder.state()
    assert not state.recording
    assert f"{tmp_path} has 50 MB left, the limit is 100 MB" in state.error
    recorder._record(RawMessage("/text", TYPE, START_NS + 1, messages.text("two")))
    assert recorder.state().dropped == {"/text": 1}
    with BagReader(tmp_path / "bag") as bag:
        assert (bag.message_count, bag.damage) == (1, None)


def test_a_folder_that_appears_later_is_used(tmp_path: Path, messages: Messages) -> None:
    now = [0.0]
    (tmp_path / "disk").write_text("not mounted")
    recorder = Recorder(config(tmp_path / "disk"), steady_s=lambda: now[0])
    recorder.announce("/text", TYPE, Qos())
    message = RawMessage("/text", TYPE, START_NS, messages.text("one"))
    recorder._record(message)
    assert "cannot record into" in recorder.state().error
    (tmp_path / "disk").unlink()
    recorder._record(message)
    now[0] = module.RETRY_S + 0.1
    recorder._record(message)
    state = recorder.state()
    assert (state.recording, state.error, state.dropped) == (True, "", {"/text": 2})
    recorder._close()


class Disk:
    """Stands between the recorder and a bag: holds writes up until told, or refuses them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hangs, self.goes_on = threading.Event(), threading.Event()
        self.full_after = 10**9
        self._write, self._written = BagWriter.write, 0
        disk = self

        def write(self: BagWriter, topic: str, log_ns: int, data: bytes) -> None:
            disk.hangs.set()
            disk.goes_on.wait(20)
            disk._written += 1
            if disk._written > disk.full_after:
                self._fail(OSError(28, "No space left on device"))
            disk._write(self, topic, log_ns, data)

        monkeypatch.setattr(module.BagWriter, "write", write)


def ring_recorder(folder: Path, monkeypatch: pytest.MonkeyPatch, **values: object) -> Recorder:
    monkeypatch.setattr(module, "ANSWER_S", 30.0)  # whatever else the machine does
    recorder = Recorder(config(folder, continuous=False, **values))
    recorder.announce("/text", TYPE, Qos())
    recorder.start()
    return recorder


def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 30 s")


def numbers(folder: Path) -> list[int]:
    with BagReader(folder) as bag:
        return [int(bag.message(message.data, message.type).data) for message in bag.raw()]


def test_what_arrives_during_a_slow_save_is_neither_lost_nor_out_of_order(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    recorder = ring_recorder(tmp_path, monkeypatch)
    for index in range(100):
        recorder.offer("/text", START_NS + index, messages.text(str(index)))
    ok, answer = recorder.save()
    assert ok, answer
    assert re.fullmatch(rf"saving 0\.0 s \(100 messages, 0\.0 MB\) into {tmp_path / 'bag'}", answer)
    assert disk.hangs.wait(5)
    for index in range(100, 200):
        recorder.offer("/text", START_NS + index, messages.text(str(index)))
    ok, answer = recorder.save()  # the answer also shows that the worker has taken all of them
    assert not ok
    assert f"{tmp_path / 'bag'} is still being saved, 0.0 MB to go" in answer
    assert recorder.state().recording
    disk.goes_on.set()
    until(lambda: recorder.state().saved == tmp_path / "bag")
    assert recorder.save()[0]
    recorder.finish()
    assert numbers(tmp_path / "bag") == list(range(100))
    assert numbers(tmp_path / "bag-2") == list(range(100, 200))
    assert recorder.state().dropped == {}


def test_a_save_that_is_under_way_is_completed_at_the_end(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    recorder = ring_recorder(tmp_path, monkeypatch)
    recorder.offer("/text", START_NS, messages.text("7"))
    assert recorder.save()[0]
    assert disk.hangs.wait(5)
    disk.goes_on.set()
    assert recorder.finish() == tmp_path / "bag"
    assert numbers(tmp_path / "bag") == [7]


def test_a_disk_that_runs_full_during_a_save_keeps_what_it_has(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    disk.full_after = 60
    disk.goes_on.set()
    recorder = ring_recorder(tmp_path, monkeypatch, chunk_kb=64)  # each message is a chunk, and so on the disk at once
    for index in range(100):
        recorder.offer("/text", START_NS + index, messages.text(f"{index:>100000}"))
    recorder.save()
    until(lambda: bool(recorder.state().error))
    state = recorder.state()
    assert "No space left on device; " in state.error
    assert state.saved is None
    kept = numbers(tmp_path / "bag")
    assert kept == list(range(len(kept)))
    assert 50 <= len(kept) <= 60
    assert state.dropped["/text"] == 100 - len(kept)
    disk.full_after = 10**9
    recorder.offer("/text", START_NS + 100, messages.text("100"))
    assert recorder.save()[0]
    until(lambda: recorder.state().saved == tmp_path / "bag-2")
    assert recorder.state().error == ""
    recorder.finish()


def test_a_save_stops_before_the_disk_is_full(tmp_path: Path, messages: Messages) -> None:
    ring = SavingRing(Ring(100 * S, 10**9), least_bytes=0)
    for second in range(10):
        ring.add(raw(second, size=10_000_000))
    bag = BagWriter(tmp_path / "bag")
    bag.add_topic("/a", TYPE)
    rooms = iter(["", "", "the disk has 1 MB left"])
    assert isinstance(ring.begin(lambda: bag, lambda: next(rooms)), RingSave)
    save = ring.ended(wait=True)
    assert save is not None
    assert save.error == "the disk has 1 MB left"
    assert (save.saved, save.lost) == (8, {"/a": 2})  # looked at before 0, 40 and 80 MB
    with BagReader(tmp_path / "bag") as reader:
        assert (reader.message_count, reader.damage) == (8, None)


def test_a_refused_save_keeps_everything_in_the_ring(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").write_text("not mounted")
    recorder = ring_recorder(tmp_path / "disk", monkeypatch)
    recorder.offer("/text", START_NS, messages.text("1"))
    ok, answer = recorder.save()
    assert not ok
    assert "cannot record into" in answer
    until(lambda: bool(recorder.state().error))
    recorder.offer("/text", START_NS + 1, messages.text("2"))
    (tmp_path / "disk").unlink()
    assert recorder.save()[0]
    recorder.finish()
    assert numbers(tmp_path / "disk" / "bag") == [1, 2]


def test_saving_an_empty_ring_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = ring_recorder(tmp_path, monkeypatch)
    assert recorder.save() == (False, "the ring buffer is empty, so there is nothing to save")
    recorder.finish()
    assert list(tmp_path.iterdir()) == []


def test_ring_and_save_share_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    ring = SavingRing(Ring(100 * S, 1000), least_bytes=200)
    for second in range(10):
        ring.add(raw(second, size=80))
    bag = BagWriter(tmp_path / "bag")
    bag.add_topic("/a", TYPE)
    save = ring.begin(lambda: bag, lambda: "")
    assert isinstance(save, RingSave)
    assert (save.total, save.bytes_left, ring.saving) == (10, 800, True)
    for second in range(10, 20):
        ring.add(raw(second, size=80))
    assert ring.span_s == 1.0  # two messages: 200 bytes are left for the ring
    disk.goes_on.set()
    ended = ring.ended(wait=True)
    assert ended is save
    assert save.bytes_left == 0
    for second in range(20, 40):
        ring.add(raw(second, size=80))
    assert ring.span_s == 11.0  # and now twelve again


def raw(second: float, topic: str = "/a", size: int = 10) -> RawMessage:
    return RawMessage(topic, TYPE, int(second * S), bytes(size))


def test_ring_keeps_the_span() -> None:
    ring = Ring(10 * S, 10**9)
    for second in range(100):
        ring.add(raw(second))
    assert ring.span_s == 10.0
    assert [message.log_ns // S for message in ring.take()] == list(range(89, 100))
    assert ring.take() == []


def test_ring_is_bounded_in_bytes() -> None:
    ring = Ring(1000 * S, 1000)
    for second in range(100):
        ring.add(raw(second, size=100))
    assert ring.bytes == 1000
    assert [message.log_ns // S for message in ring.take()] == list(range(90, 100))


def test_ring_keeps_latched_messages() -> None:
    ring = Ring(5 * S, 10**9, latched=["/instruction"])
    ring.add(raw(0, "/instruction"))
    ring.add(raw(1, "/instruction", size=11))
    for second in range(2, 30):
        ring.add(raw(second))
    first = ring.take()[0]
    assert (first.topic, first.log_ns // S, len(first.data)) == ("/instruction", 24, 11)


def test_ring_restarts_when_the_clock_is_set_back() -> None:
    ring = Ring(5 * S, 10**9)
    ring.add(raw(100))
    ring.add(raw(1))
    assert [message.log_ns // S for message in ring.take()] == [1]


def test_episode_of_one_drive() -> None:
    marker = EpisodeMarker()
    assert marker.on_instruction("red", 0) == []
    assert marker.on_mode("disarmed", 0) == []
    (begin,) = marker.on_mode("autonomy", 1 * S)
    assert (begin.begins, begin.number, begin.values()) == (True, 1, {"number": "1", "instruction": "red"})
    assert marker.on_mode("teleop", 2 * S) == []
    (end,) = marker.on_mode("estop", 4 * S)
    assert end.values() == {"number": "1", "instruction": "red", "outcome": "estop", "seconds": "3.000"}
    assert marker.finish(9 * S) == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"metadata_version": 7}, "metadata_version must be 0, 8 or 9, got 7"),
        ({"name": "../x"}, "name must be a plain folder name"),
        ({"storage": "sqlite3", "compression": "lz4"}, "compression lz4 needs storage mcap"),
    ],
)
def test_impossible_settings(values: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        RecorderConfig(**values)
