"""Aligned, decoded frames of a bag, read ahead on a thread so that decoding and the policy share two cores."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.align import Sample, align
from mobile_vla.bags.images import rgb
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles
from mobile_vla.errors import UserError

T = TypeVar("T")
READ_AHEAD = 16


class Selection(NamedTuple):
    """Which part of a bag, and how commands belong to frames."""

    start_s: float = 0.0
    end_s: float = 0.0
    """0: to the end."""
    delay_ms: float = 0.0
    """How much later than its image a command is expected."""
    tolerance_ms: float = 100.0


def decoded_samples(
    reader: BagReader, roles: Roles, selection: Selection
) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
    """Every frame with its command and its pixels. Raises `UserError` for a frame that cannot be decoded."""
    start_ns = reader.start_ns + int(selection.start_s * 1e9) if selection.start_s else None
    end_ns = reader.start_ns + int(selection.end_s * 1e9) if selection.end_s else None
    events = reader.events(roles, start_ns, end_ns)
    samples = align(events, int(selection.delay_ms * 1e6), int(selection.tolerance_ms * 1e6))
    return read_ahead(_decoded(samples, reader))


def _decoded(samples: Iterable[Sample], reader: BagReader) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
    for sample in samples:
        try:
            yield sample, rgb(sample.frame)
        except UserError as error:
            at = (sample.frame.stamp_ns - reader.start_ns) / 1e9
            raise UserError(f"{reader.path}: {sample.frame.topic} at {at:.1f} s: {error}") from error


class _End(NamedTuple):
    error: BaseException | None


def read_ahead(items: Iterable[T], depth: int = READ_AHEAD) -> Generator[T, None, None]:
    """The same items in the same order, made on another thread; its exceptions are raised here."""
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | _End) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def fill() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  (handed over whole, raised by the consumer)
            put(_End(error))
            return
        put(_End(None))

    thread = threading.Thread(target=fill, name="read ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()
