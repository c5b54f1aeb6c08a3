"""Aligned frames of a bag, and their pixels made ahead on other threads, because decoding and resizing need no GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from mobile_vla.bags.align import AlignedFrame, align
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles
from mobile_vla.bags.types import Event

T = TypeVar("T")
R = TypeVar("R")
READ_AHEAD = 24
WORKERS = 2
"""One is not enough: preparing a frame takes longer than a small policy needs for it."""


class Selection(NamedTuple):
    """Which part of a bag, and how commands belong to frames."""

    start_s: float = 0.0
    end_s: float = 0.0
    """0: to the end."""
    delay_ms: float = 0.0
    """How much later than its image a command is expected."""
    tolerance_ms: float = 100.0


def samples_of(
    reader: BagReader,
    roles: Roles,
    selection: Selection,
    watch: Callable[[Iterable[Event]], Iterable[Event]] = lambda events: events,
) -> Iterator[AlignedFrame]:
    """Every frame of the selection with its command, not decoded; `watch` sees every event on its way."""
    start_ns = reader.start_ns + int(selection.start_s * 1e9) if selection.start_s else None
    end_ns = reader.start_ns + int(selection.end_s * 1e9) if selection.end_s else None
    events = reader.events(roles, start_ns, end_ns)
    return align(watch(events), int(selection.delay_ms * 1e6), int(selection.tolerance_ms * 1e6))


def prefetched(
    items: Iterable[T], work: Callable[[T], R], depth: int = READ_AHEAD, workers: int = WORKERS
) -> Generator[R, None, None]:
    """`work` of each item, in order, done on other threads up to `depth` items ahead; exceptions are raised here."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
