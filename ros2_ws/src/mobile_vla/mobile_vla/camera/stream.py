"""Network streams (RTSP, HTTP) through OpenCV's FFmpeg. Passwords never leave this module in a text."""

from __future__ import annotations

import http.client
import os
import socket
from urllib.parse import SplitResult, urlsplit

import cv2

from mobile_vla.camera.capture import Capture, OpenCapture
from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.rate_limit import RateLimit
from mobile_vla.camera.source import CameraFrame, Clock, SourceLost, encoding_of
from mobile_vla.errors import UserError, nearest

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_HTTP_ERROR = 400
_BUNCHED = 3
"""So many frames may arrive at once: a network delays one and delivers it with the next."""


class StreamSource:
    """An address that FFmpeg reads; lost when it ends or stays silent longer than `stall_s`."""

    live = True

    def __init__(self, config: CameraConfig, clock: Clock, opener: OpenCapture = cv2.VideoCapture) -> None:
        self._url = config.source.strip()
        self._timeout_s = config.stall_s
        self._clock = clock
        self._opener = opener
        self._limit = RateLimit(config.rate_hz, ahead=_BUNCHED)
        self._capture: Capture | None = None
        self.description = f"stream {without_password(self._url)}"

    def check(self) -> None:
        """The address must be one that could be answered."""
        parse(self._url)

    def open(self) -> None:
        """Ask the host first, because FFmpeg only ever says that it failed."""
        error = self._ask_host(parse(self._url))
        if error:
            raise SourceLost(error)
        # RTSP over TCP: torn UDP frames would pass as pictures. Read by FFmpeg when a stream is opened.
        os.environ.setdefault(_FFMPEG_OPTIONS, "rtsp_transport;tcp|fflags;nobuffer")
        timeout_ms = int(self._timeout_s * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
        capture = self._opener(self._url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            capture.release()
            raise SourceLost(
                f"{self.description} answers, but not with a video that OpenCV can read; try `ffplay` on it"
            )
        self._capture = capture

    def read(self) -> CameraFrame:
        """The next frame that is taken; its stamp is the time it was decoded, the camera's own clock is unknown."""
        if self._capture is None:
            raise SourceLost(f"{self.description} is not open")
        while self._capture.grab():
            if self._limit.takes(self._clock.steady_ns()):
                ok, pixels = self._capture.retrieve()
                if ok and pixels is not None:
                    return CameraFrame(pixels, self._clock.stamp_ns(), encoding_of(pixels))
        raise SourceLost(f"{self.description} ended or was silent for {self._timeout_s:g} s")

    def close(self) -> None:
        """Hang up."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _ask_host(self, url: SplitResult) -> str:
        """Why the host will not serve this address, or nothing."""
        host, port = str(url.hostname), url.port or PORTS[url.scheme]
        try:
            if url.scheme != "http":
                socket.create_connection((host, port), self._timeout_s).close()
                return ""
            status, reason = _http_status(host, port, url, self._timeout_s)
        except socket.gaierror:
            return f"{self.description}: the host name {host} is not known; check the address or the network"
        except (OSError, http.client.HTTPException) as error:
            return f"{self.description}: nobody answers at {host}:{port} ({_plain(error)}); is the camera on?"
        if status >= _HTTP_ERROR and not url.username:  # with a user name, FFmpeg logs in by itself
            return f"{self.description} answers {status} {reason}; check the path and whether it wants a login"
        return ""


def parse(url: str) -> SplitResult:
    """An address with a known scheme, a host and a valid port, else `UserError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UserError(
            f"the address {without_password(url)} is malformed ({error}); write scheme://host:port/path"
        ) from None
    if parts.scheme not in PORTS:
        hint = nearest(parts.scheme, PORTS)
        raise UserError(f"unknown scheme '{parts.scheme}' in {without_password(url)}; {hint}")
    if not parts.hostname or port == 0:
        raise UserError(
            f"the address {without_password(url)} names no host or port 0; write {parts.scheme}://host:port/path"
        )
    return parts


def without_password(url: str) -> str:
    """The address as it may be shown: user name and password, and anything after a `?`, are left out."""
    scheme, mark, rest = url.partition("://")
    where, query, _ = rest.partition("?")
    host, slash, path = where.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}{'?…' if query else ''}"


def _http_status(host: str, port: int, url: SplitResult, timeout_s: float) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", (url.path or "/") + (f"?{url.query}" if url.query else ""))
        answer = connection.getresponse()
        return answer.status, answer.reason
    finally:
        connection.close()


def _plain(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
