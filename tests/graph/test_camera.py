"""The camera node as a real process: the contract of its topics, and its errors."""

from __future__ import annotations

import http.server
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import ReliabilityPolicy
from rclpy.time import Time

from mobile_vla_ros.images import ImageBridge
from mobile_vla_ros.topics import CAMERA_IMAGE, CAMERA_INFO, CAMERA_JPEG, CLOCK, DIAGNOSTICS

MODULE = "mobile_vla_nodes.camera"
RATE_HZ = 20.0
IMAGES = 30
BRIDGE = ImageBridge()


def picture(number: int):
    """A smooth picture that its number can be read from."""
    return cv2.resize(np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8), (64, 48))


def stamp_ns(message: Any):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.fixture
def folder(tmp_path: Path):
    place = tmp_path / "images"
    place.mkdir()
    for number in range(IMAGES):
        cv2.imwrite(str(place / f"{number}.png"), picture(number))
    return place


class Statuses:
    """The newest status of the camera on /diagnostics."""

    def __init__(self, graph: Any) -> None:
        self.messages = graph.listen(DIAGNOSTICS)

    def newest(self):
        found = [status for array in self.messages for status in array.status if status.name.endswith("/camera")]
        return found[-1] if found else None

    def values(self):
        return {pair.key: pair.value for pair in self.newest().values}

    def says(self, level: bytes, text: str):
        newest = self.newest()
        return newest is not None and newest.level == level and text in newest.message


def test_contract(graph: Any, folder: Path):
    parameters = {"source": str(folder), "rate_hz": RATE_HZ, "loop": True, "horizontal_fov_deg": 90.0}
    images, infos = graph.listen(CAMERA_IMAGE, "robot"), graph.listen(CAMERA_INFO, "robot")
    statuses = Statuses(graph)
    process = graph.start(MODULE, "camera", parameters, namespace="robot")
    graph.wait(lambda: len(images) >= 20 and len(infos) >= 20, what="20 images and camera infos")

    for message in (*images, *infos):
        assert message.header.frame_id == "camera_optical_frame"
    image = images[-1]
    assert (image.encoding, image.width, image.height, image.step) == ("bgr8", 64, 48, 192)
    stamps = [stamp_ns(message) for message in images]
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert abs(graph.node.get_clock().now().nanoseconds - stamps[-1]) < 2e9
    assert np.median(np.diff(stamps)) == pytest.approx(1e9 / RATE_HZ, rel=0.1)
    assert len({stamp_ns(message) for message in infos} & set(stamps)) >= 15  # a CameraInfo carries its image's stamp
    assert infos[-1].k[0] == pytest.approx(32.0)
    shown = [bytes(message.data) for message in images]
    known = {picture(number).tobytes() for number in range(IMAGES)}
    assert set(shown) <= known  # only what is in the folder, byte for byte

    for topic in (CAMERA_IMAGE, CAMERA_JPEG, CAMERA_INFO):
        (publisher,) = graph.node.get_publishers_info_by_topic(f"/robot/{topic.name}")
        assert publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert publisher.node_name == "camera"

    jpegs = graph.listen(CAMERA_JPEG, "robot")
    graph.wait(lambda: len(jpegs) >= 3, what="JPEGs once somebody listens")
    assert jpegs[-1].format == "bgr8; jpeg compressed bgr8"
    assert BRIDGE.compressed_imgmsg_to_cv2(jpegs[-1]).shape == (48, 64, 3)
    raw = {stamp_ns(message): BRIDGE.imgmsg_to_cv2(message) for message in images}
    pairs = [(raw[stamp_ns(jpeg)], jpeg) for jpeg in jpegs if stamp_ns(jpeg) in raw]
    assert pairs
    for pixels, jpeg in pairs:
        assert np.abs(BRIDGE.compressed_imgmsg_to_cv2(jpeg).astype(int) - pixels).mean() < 8

    graph.wait(lambda: statuses.says(DiagnosticStatus.OK, "running"), what="a healthy status")
    values = statuses.values()
    assert values["calibrated"] == "false"
    assert values["calibration"] == "pinhole guess from 90 degrees"
    assert process.stop() == 0


def test_end_of_a_folder_is_said_and_nothing_is_repeated(graph: Any, folder: Path):
    images, statuses = graph.listen(CAMERA_IMAGE), Statuses(graph)
    process = graph.start(MODULE, "camera", {"source": str(folder), "rate_hz": RATE_HZ})
    graph.wait(lambda: statuses.says(DiagnosticStatus.WARN, f"all {IMAGES} images were shown"), what="the end")
    shown = [bytes(message.data) for message in images]
    assert len(shown) >= IMAGES / 2  # discovery may cost the first ones
    assert len(set(shown)) == len(shown)
    assert int(statuses.values()["frames_published"]) == IMAGES
    count = len(images)
    graph.spin(0.5)
    assert len(images) == count
    assert process.returncode is None
    assert process.stop() == 0


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"source": "gopher://camera/1"}, "unknown scheme 'gopher'"),
        ({"source": "/no/such/film.mp4"}, "no existing file or folder"),
        ({"source": "EMPTY"}, "holds no images"),
        ({"source": "csi:front"}, "names no CSI camera"),
        ({"source": "0", "width_px": 640, "height_px": 0}, "given together"),
        ({"source": "0", "rate_hz": -1.0}, "rate_hz must be > 0, got -1"),
        ({"source": "0", "sorce": "1"}, "unknown parameter 'sorce'; did you mean 'source'?"),
        ({"source": "0", "calibration_file": "/no/such.yaml"}, "no calibration file at /no/such.yaml"),
    ],
)
def test_nonsense_ends_with_one_sentence(graph: Any, tmp_path: Path, parameters: dict[str, Any], sentence: str):
    (tmp_path / "empty").mkdir()
    parameters = {name: str(tmp_path / "empty") if value == "EMPTY" else value for name, value in parameters.items()}
    process = graph.start(MODULE, "camera", parameters)
    assert process.wait(20) == 2, process.output()
    (line,) = process.output().strip().splitlines()
    assert sentence in line


def test_missing_device_is_said_and_tried_again(graph: Any):
    images, statuses = graph.listen(CAMERA_IMAGE), Statuses(graph)
    process = graph.start(
        MODULE, "camera", {"source": "/dev/video77", "reconnect.initial_s": 0.1, "reconnect.max_s": 0.2}
    )
    graph.wait(lambda: statuses.says(DiagnosticStatus.ERROR, "no camera at /dev/video77"), what="the error")
    first = int(statuses.values()["failed_attempts"])
    graph.wait(lambda: int(statuses.values()["failed_attempts"]) > first, what="another attempt")
    assert images == []
    assert process.stop() == 0


def test_shutdown_does_not_wait_for_the_back_off(graph: Any):
    statuses = Statuses(graph)
    process = graph.start(
        MODULE, "camera", {"source": "/dev/video77", "reconnect.initial_s": 60.0, "reconnect.max_s": 60.0}
    )
    graph.wait(lambda: statuses.says(DiagnosticStatus.ERROR, "next attempt within 60 s"), what="the back-off")
    start = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - start < 3


def test_calibration_of_another_size_is_withheld(graph: Any, folder: Path, tmp_path: Path):
    file = tmp_path / "camera.yaml"
    matrix = [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0]
    document = {
        "image_width": 640,
        "image_height": 480,
        "camera_name": "camera",
        "camera_matrix": {"data": matrix},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"data": [0.0] * 5},
    }
    file.write_text(yaml.safe_dump(document))
    images, infos, statuses = graph.listen(CAMERA_IMAGE), graph.listen(CAMERA_INFO), Statuses(graph)
    graph.start(MODULE, "camera", {"source": str(folder), "loop": True, "calibration_file": str(file)})
    graph.wait(lambda: statuses.says(DiagnosticStatus.ERROR, "for 640 x 480 images, but the camera gives 64 x 48"))
    assert images
    assert infos == []


def test_resized_frames_fit_their_calibration(graph: Any, folder: Path):
    images, infos = graph.listen(CAMERA_IMAGE), graph.listen(CAMERA_INFO)
    parameters = {
        "source": str(folder),
        "loop": True,
        "resize": True,
        "width_px": 32,
        "height_px": 24,
        "encoding": "rgb8",
    }
    graph.start(MODULE, "camera", parameters)
    graph.wait(lambda: images and infos, what="images")
    assert (images[-1].width, images[-1].height, images[-1].encoding) == (32, 24, "rgb8")
    assert (infos[-1].width, infos[-1].height) == (32, 24)
    assert set(infos[-1].k) == {0.0}  # nothing is known, nothing is claimed


class Stream:
    """An MJPEG camera on a port of its own that can be switched off and on again."""

    def __init__(self) -> None:
        self.port = 0
        self.frames = 0
        self._server = None
        self._off = threading.Event()

    def on(self):
        stream, off = self, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    while not off.wait(1 / RATE_HZ):
                        stream.frames += 1
                        body = cv2.imencode(".jpg", picture(stream.frames))[1].tobytes()
                        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
                        self.wfile.write(head + body + b"\r\n")
                except OSError:
                    return

            def log_message(self, *arguments: Any):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port, self._off = self._server.server_port, off
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def off(self):
        self._off.set()
        self._server.shutdown()
        self._server.server_close()


def test_stream_that_goes_and_comes_back(graph: Any):
    stream = Stream()
    stream.on()
    images, statuses = graph.listen(CAMERA_IMAGE), Statuses(graph)
    parameters = {
        "source": f"http://user:s3cret@127.0.0.1:{stream.port}/live",
        "stall_s": 0.5,
        "reconnect.initial_s": 0.1,
        "reconnect.max_s": 0.2,
    }
    process = graph.start(MODULE, "camera", parameters)
    graph.wait(lambda: len(images) >= 10, what="frames")
    stream.off()
    graph.wait(lambda: statuses.says(DiagnosticStatus.ERROR, "nobody answers"), what="the loss")
    gone = len(images)
    graph.spin(0.5)
    assert len(images) == gone  # no frame is invented while there is none
    stream.on()
    graph.wait(lambda: len(images) > gone + 10, what="frames after the return")
    graph.wait(lambda: statuses.says(DiagnosticStatus.OK, "running"), what="a healthy status")
    assert int(statuses.values()["reconnects"]) == 1
    stamps = [stamp_ns(message) for message in images]
    assert stamps == sorted(set(stamps))
    assert "s3cret" not in process.output()
    assert all("s3cret" not in str(array) for array in statuses.messages)
    assert process.stop() == 0
    stream.off()


def test_no_frame_without_a_time(graph: Any, folder: Path):
    images, statuses = graph.listen(CAMERA_IMAGE), Statuses(graph)
    graph.start(MODULE, "camera", {"source": str(folder), "loop": True, "use_sim_time": True})
    graph.wait(lambda: statuses.says(DiagnosticStatus.ERROR, "simulated time has not begun"), what="the error")
    assert images == []
    clock = graph.publisher(CLOCK)

    def tick() -> bool:
        clock.publish(CLOCK.type(clock=Time(nanoseconds=time.monotonic_ns()).to_msg()))
        return len(images) >= 5

    graph.wait(tick, what="images once time runs")
    assert stamp_ns(images[-1]) <= time.monotonic_ns()
