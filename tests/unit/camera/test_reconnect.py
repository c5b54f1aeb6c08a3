"""Back-off, counting, and never a frame that was not read."""

from __future__ import annotations

from typing import Any

import pytest

from mobile_vla.camera.config import ReconnectConfig
from mobile_vla.camera.reconnect import CLOSED, ENDED, RUNNING, WAITING, Reconnecting
from mobile_vla.camera.source import DamagedFrame, EndOfSource, SourceLost, Stopped

CONFIG = ReconnectConfig(initial_s=0.5, factor=2.0, max_s=3.0)


def test_waits_grow_to_the_maximum(scripted: Any, fake_time: Any, make_frame: Any):
    source = scripted([make_frame(1)], opens=[SourceLost("no camera")] * 5)
    assert Reconnecting(source, CONFIG, fake_time.clock).read() == make_frame(1)
    assert fake_time.waits == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert source.opened == 6


def test_waits_start_anew_only_after_a_frame(scripted: Any, fake_time: Any, make_frame: Any):
    lost = SourceLost("gone")
    source = scripted([lost, lost, make_frame(1), lost, make_frame(2)])  # opens every time, delivers only sometimes
    reader = Reconnecting(source, CONFIG, fake_time.clock)
    assert reader.read() == make_frame(1)
    assert fake_time.waits == [0.5, 1.0]
    assert reader.read() == make_frame(2)
    assert fake_time.waits == [0.5, 1.0, 0.5]


def test_state_says_what_happened(scripted: Any, fake_time: Any, make_frame: Any):
    source = scripted([make_frame(1), SourceLost("pulled out"), make_frame(2), SourceLost("pulled out again")])
    reader = Reconnecting(source, CONFIG, fake_time.clock)
    reader.read()
    assert (reader.state.phase, reader.state.reconnects, reader.state.failures) == (RUNNING, 0, 0)
    reader.read()
    assert (reader.state.phase, reader.state.reconnects, reader.state.failures) == (RUNNING, 1, 1)
    fake_time.stop_after = len(fake_time.waits) + 1
    with pytest.raises(Stopped):
        reader.read()
    assert reader.state.phase == WAITING
    assert reader.state.reason == "pulled out again"
    assert reader.state.retry_s == 0.5


def test_first_connection_after_failures_is_no_reconnection(scripted: Any, fake_time: Any, make_frame: Any):
    reader = Reconnecting(scripted([make_frame(1)], opens=[SourceLost("not there yet")]), CONFIG, fake_time.clock)
    reader.read()
    assert reader.state.reconnects == 0
    assert reader.state.failures == 1


def test_damaged_frames_are_counted_not_delivered_and_do_not_reopen(scripted: Any, fake_time: Any, make_frame: Any):
    source = scripted([make_frame(1), DamagedFrame("torn"), DamagedFrame("torn too"), make_frame(2)])
    reader = Reconnecting(source, CONFIG, fake_time.clock)
    assert [reader.read(), reader.read()] == [make_frame(1), make_frame(2)]
    assert (reader.state.damaged, reader.state.damage, source.opened) == (2, "torn too", 1)


def test_damaged_frames_alone_are_not_running(scripted: Any, fake_time: Any):
    source = scripted([DamagedFrame("torn"), SourceLost("gone")])
    fake_time.stop_after = 2
    reader = Reconnecting(source, CONFIG, fake_time.clock)
    with pytest.raises(Stopped):
        reader.read()
    assert reader.state.phase == WAITING


def test_the_end_of_the_source_is_final(scripted: Any, fake_time: Any, make_frame: Any):
    source = scripted([make_frame(1), EndOfSource("all 1 images were shown")], live=False)
    reader = Reconnecting(source, CONFIG, fake_time.clock)
    reader.read()
    with pytest.raises(EndOfSource):
        reader.read()
    reader.close()
    assert (reader.state.phase, reader.state.reason) == (ENDED, "all 1 images were shown")


def test_a_lost_source_is_closed(scripted: Any, fake_time: Any, make_frame: Any):
    source = scripted([SourceLost("gone"), make_frame(1)])
    reader = Reconnecting(source, CONFIG, fake_time.clock)
    reader.read()
    assert source.closed == 1
    reader.close()
    assert source.closed == 2
    assert reader.state.phase == CLOSED
