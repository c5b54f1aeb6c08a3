"""The recorder without ROS: what happens when the disk is slow, full or missing, and what the ring keeps."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from bag_making import START_NS, Messages

from mobile_vla.bags import recorder as module
from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.episodes import EpisodeMarker
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.recorder import Recorder
from mobile_vla.bags.ring import Ring
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


def test_it_stops_while_there_is_room_to_end_properly(tmp_path: Path, messages: Messages) -> None:
    free = [10**12]
    recorder = Recorder(config(tmp_path, min_free_mb=100), free_bytes=lambda folder: free[0], steady_s=lambda: 0.0)
    recorder.announce("/text", TYPE, Qos())
    recorder._record(RawMessage("/text", TYPE, START_NS, messages.text("one")))
    recorder._look_after()
    assert recorder.state().recording
    free[0] = 50_000_000
    recorder._check_at_s = 0.0
    recorder._look_after()
    state = recorder.state()
    assert not state.recording
    assert f"{tmp_path} has 50 MB left, the limit is 100 MB" in state.trouble
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
    assert "cannot record into" in recorder.state().trouble
    (tmp_path / "disk").unlink()
    recorder._record(message)
    now[0] = module.RETRY_S + 0.1
    recorder._record(message)
    state = recorder.state()
    assert (state.recording, state.trouble, state.dropped) == (True, "", {"/text": 2})
    recorder._close()


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


def test_ring_keeps_what_still_holds() -> None:
    ring = Ring(5 * S, 10**9, latched=["/instruction"])
    ring.add(raw(0, "/instruction"))
    ring.add(raw(1, "/instruction", size=11))
    for second in range(2, 30):
        ring.add(raw(second))
    first = ring.take()[0]
    assert (first.topic, first.log_ns // S, len(first.data)) == ("/instruction", 24, 11)


def test_ring_starts_anew_when_the_clock_is_set_back() -> None:
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
