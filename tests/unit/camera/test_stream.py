"""A real MJPEG server on loopback: read, hang-up, silence, refusals, and passwords that stay hidden."""

from __future__ import annotations

import dataclasses
import http.server
import itertools
import socket
import threading
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.source import NS, SourceLost
from mobile_vla.camera.stream import StreamSource, parse, without_password
from mobile_vla.errors import UserError

LEVELS = (40, 90, 140, 190, 240)


class MjpegHandler(http.server.BaseHTTPRequestHandler):
    """/live: five pictures, then hang up; /silent: five pictures, then nothing; /text: no video; else 404."""

    def do_GET(self):
        if self.path == "/text":
            self._head("text/plain")
            self.wfile.write(b"no film here\n" * 50)
        elif self.path in ("/live", "/silent"):
            self._head("multipart/x-mixed-replace; boundary=frame")
            try:
                self._pictures()
            except (BrokenPipeError, ConnectionResetError):
                return
            if self.path == "/silent":
                self.server.released.wait(10)
        else:
            self.send_error(404)

    def _head(self, kind: str):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _pictures(self):
        for level in LEVELS:
            _, jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))
            body = jpeg.tobytes()
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.wfile.write(body + b"\r\n")
        self.wfile.flush()

    def log_message(self, *arguments: Any):
        pass


@pytest.fixture
def server():
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MjpegHandler)
    listening.daemon_threads = True
    listening.released = threading.Event()
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.released.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


def source_of(url: str, fake_time: Any, stall_s: float = 2.0):
    """The test's server sends its pictures at once; this clock says that they came a second apart."""
    seconds = itertools.count()
    clock = dataclasses.replace(fake_time.clock, steady_ns=lambda: next(seconds) * NS)
    source = StreamSource(CameraConfig(source=url, stall_s=stall_s), clock)
    source.check()
    return source


def read_until_lost(source: Any):
    levels = []
    with pytest.raises(SourceLost) as loss:
        while True:
            frame = source.read()
            assert frame.pixels.shape == (48, 64, 3)
            assert frame.encoding == "bgr8"
            levels.append(round(float(frame.pixels.mean())))
    return levels, str(loss.value)


def assert_newest(levels: list[int]):
    """All pictures in order; FFmpeg looks at the first to learn what it is and, unbuffered, may not hand it out."""
    assert len(levels) >= len(LEVELS) - 1
    assert levels == pytest.approx(LEVELS[-len(levels) :], abs=2)


def test_reads_every_frame_until_the_server_hangs_up(server: str, fake_time: Any):
    source = source_of(f"{server}/live", fake_time)
    source.open()
    levels, loss = read_until_lost(source)
    assert_newest(levels)
    assert "ended or was silent" in loss
    source.close()


def test_frames_beyond_the_rate_are_dropped_without_being_converted(
    capture: Any, fake_time: Any, make_picture: Any, monkeypatch: pytest.MonkeyPatch
):
    opened = capture([make_picture(number) for number in range(60)])
    config = CameraConfig(source="http://127.0.0.1:1/", rate_hz=10.0)
    ticks = itertools.count()
    clock = dataclasses.replace(fake_time.clock, steady_ns=lambda: next(ticks) * NS // 60)
    source = StreamSource(config, clock, opened)
    monkeypatch.setattr(source, "_ask_host", lambda url: "")
    source.open()
    frames = []
    with pytest.raises(SourceLost):
        while True:
            frames.append(source.read())
    # a second of 60 pictures at 10 Hz, and the three that may come at once after a pause
    assert len(frames) == opened.retrieved
    assert 10 <= len(frames) <= 13


def test_a_silent_stream_times_out_after_stall_s(server: str, fake_time: Any):
    source = source_of(f"{server}/silent", fake_time, stall_s=0.3)
    source.open()
    levels, loss = read_until_lost(source)
    assert_newest(levels)
    assert "silent for 0.3 s" in loss
    source.close()


def test_missing_page_is_named(server: str, fake_time: Any):
    with pytest.raises(SourceLost, match="answers 404"):
        source_of(f"{server}/nothing", fake_time).open()


def test_an_answer_that_is_no_video(server: str, fake_time: Any):
    with pytest.raises(SourceLost, match="not with a video"):
        source_of(f"{server}/text", fake_time).open()


def test_a_closed_port_is_reported(fake_time: Any):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for scheme in ("http", "rtsp"):
        with pytest.raises(SourceLost, match=f"nobody answers at 127.0.0.1:{port}"):
            source_of(f"{scheme}://127.0.0.1:{port}/x", fake_time).open()


def test_a_port_that_speaks_no_http(fake_time: Any):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            peer, _ = listening.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-nothing\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SourceLost, match="nobody answers"):
            source_of(f"http://127.0.0.1:{listening.getsockname()[1]}/", fake_time).open()
        thread.join()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("rstp://camera/1", "unknown scheme 'rstp'.*did you mean 'rtsp'"),
        ("ftp://camera/film", "unknown scheme 'ftp'"),
        ("http:///path", "names no host"),
        ("http://camera:99999/", "malformed"),
        ("http://camera:abc/", "malformed"),
        ("http://[::1/", "malformed"),
        ("rtsp://camera:0/", "port 0"),
    ],
)
def test_addresses_that_cannot_be(url: str, sentence: str, fake_time: Any):
    with pytest.raises(UserError, match=sentence):
        source_of(url, fake_time)


def test_password_is_never_shown(fake_time: Any):
    source = StreamSource(
        CameraConfig(source="rtsp://admin:s3cret@127.0.0.1:1/h264?token=s3cret", stall_s=0.2), fake_time.clock
    )
    assert source.description == "stream rtsp://127.0.0.1:1/h264?…"
    with pytest.raises(SourceLost) as loss:
        source.open()
    assert "s3cret" not in str(loss.value)
    with pytest.raises(UserError) as refusal:
        parse("rstp://admin:s3cret@host/")
    assert "s3cret" not in str(refusal.value)


@given(st.text("abc:@/#[]?%", min_size=1, max_size=12))
def test_no_password_survives_whatever_it_looks_like(noise: str):
    password = f"{noise}SECRET{noise}".replace("/", "").replace("?", "")
    assert "SECRET" not in without_password(f"rtsp://user:{password}@camera/stream?key=SECRET")
