"""Newest frame only for live sources, every frame for files, each exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mobile_vla.camera.grabber import FrameCounts, Grabber
from mobile_vla.camera.source import EndOfSource, SourceLost, Stopped


class Watched:
    """A grabber whose events can be waited for."""

    def __init__(self, source: Any) -> None:
        self.stopping = threading.Event()
        self.events = threading.Semaphore(0)
        self.grabber = Grabber(source, self.stopping, self.events.release)

    def wait(self, events: int):
        for _ in range(events):
            assert self.events.acquire(timeout=5), "the grabber did not say anything"


def until(condition: Callable[[], bool]):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def test_live_source_keeps_only_the_newest(scripted: Any, make_frame: Any):
    watched = Watched(scripted([make_frame(1), make_frame(2), make_frame(3), Stopped()]))
    watched.grabber.start()
    watched.wait(4)
    assert watched.grabber.take() == make_frame(3)
    assert watched.grabber.take() is None
    assert watched.grabber.counts == FrameCounts(read=3, taken=1, dropped=2)


def test_file_source_waits_for_its_reader(scripted: Any, make_frame: Any):
    frames = [make_frame(number) for number in range(20)]
    watched = Watched(scripted([*frames, EndOfSource("done")], live=False))
    watched.grabber.start()
    taken = []
    for _ in frames:
        watched.wait(1)
        taken.append(watched.grabber.take())
    assert taken == frames
    watched.wait(1)
    assert watched.grabber.ended
    assert watched.grabber.take() is None
    assert watched.grabber.counts == FrameCounts(20, 20, 0)


def test_not_ended_while_the_last_frame_waits(scripted: Any, make_frame: Any):
    watched = Watched(scripted([make_frame(1), EndOfSource("done")]))
    watched.grabber.start()
    watched.wait(2)
    assert not watched.grabber.ended
    watched.grabber.take()
    assert watched.grabber.ended


def test_stop_ends_a_waiting_file_reader(scripted: Any, make_frame: Any):
    source = scripted([make_frame(1), make_frame(2), make_frame(3)], live=False)
    watched = Watched(source)
    watched.grabber.start()
    watched.wait(1)
    until(lambda: watched.grabber.counts.read == 2)  # the second frame waits for the first to be taken
    assert watched.grabber.stop()
    assert source.closed == 1


def test_no_event_after_stop(scripted: Any, make_frame: Any):
    release = threading.Event()
    source = scripted([make_frame(1)])

    def read():
        release.wait(5)
        return make_frame(1)

    source.read = read
    watched = Watched(source)
    watched.grabber.start()
    watched.stopping.set()
    release.set()
    assert watched.grabber.stop()
    assert not watched.events.acquire(blocking=False)


def test_stop_reports_a_hanging_read(scripted: Any, make_frame: Any):
    release = threading.Event()
    source = scripted([])
    source.read = lambda: release.wait(5) and make_frame(1)
    watched = Watched(source)
    watched.grabber.start()
    assert not watched.grabber.stop(timeout_s=0.05)
    release.set()
    assert watched.grabber.stop()


def test_an_unexpected_failure_reaches_the_taker(scripted: Any):
    watched = Watched(scripted([SourceLost("nobody wrapped me")]))
    watched.grabber.start()
    watched.wait(1)
    with pytest.raises(SourceLost, match="nobody wrapped me"):
        watched.grabber.take()


def test_stop_before_start_is_harmless(scripted: Any):
    assert Watched(scripted([])).grabber.stop()
