"""The inference worker: newest frame only, no outdated action."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mobile_vla.camera.health import FrameVerdict
from mobile_vla.policy.interface import Step
from mobile_vla.policy.worker import InferenceWorker, PendingFrame, StepPacing

FRAME = np.zeros((4, 4, 3), np.uint8)
NOW_NS = 10_000_000_000


class FakePolicy:
    """Counts, and waits inside a step until it is let go."""

    card: Any = None
    description: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.resets = 0
        self.steps: list[str] = []
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.let_go.set()
        self.error: Exception | None = None

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame_rgb: Any, instruction: str) -> Step:
        self.entered.set()
        assert self.let_go.wait(5)
        self.steps.append(instruction)
        if self.error is not None:
            raise self.error
        return Step((0.5, -0.5), {"encode": 1.0})

    def self_check(self) -> None: ...


class Bench:
    """A worker, its policy and everything it published."""

    def __init__(self, **options: Any) -> None:
        self.policy = FakePolicy()
        self.actions: list[int] = []
        self.worker = InferenceWorker(
            self.policy,
            now_ns=lambda: NOW_NS,
            on_action=lambda stamp_ns, action: self.actions.append(stamp_ns),
            max_age_s=0.3,
            **options,
        )

    def offer(self, age_s: float = 0.0) -> int:
        stamp_ns = NOW_NS - int(age_s * 1e9)
        self.worker.offer(PendingFrame(stamp_ns, lambda: FRAME))
        return stamp_ns

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < end, "the worker did not get there"
            time.sleep(0.001)

    @property
    def counters(self) -> Any:
        return self.worker.state().counters


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.worker.instruct("go to the ball")
    bench.worker.start()
    yield bench
    bench.policy.let_go.set()
    bench.worker.stop()


def test_an_action_carries_the_stamp_of_its_frame(bench: Bench) -> None:
    stamp_ns = bench.offer(0.1)
    bench.until(lambda: bench.actions)
    assert bench.actions == [stamp_ns]


def test_frames_are_replaced_never_queued(bench: Bench) -> None:
    bench.policy.let_go.clear()
    first = bench.offer(0.2)
    assert bench.policy.entered.wait(5)
    for age_s in (0.15, 0.1, 0.05):
        newest = bench.offer(age_s)
    bench.policy.let_go.set()
    bench.until(lambda: len(bench.actions) == 2)
    assert bench.actions == [first, newest]
    assert bench.counters.superseded == 2


def test_of_frames_that_came_together_the_newest_is_stepped_on(bench: Bench) -> None:
    stamps_ns = [NOW_NS - age_ns for age_ns in (200_000_000, 100_000_000, 0)]
    bench.worker.offer(*(PendingFrame(stamp_ns, lambda: FRAME) for stamp_ns in stamps_ns))
    bench.until(lambda: bench.actions)
    assert bench.actions == stamps_ns[-1:]
    assert (bench.counters.offered, bench.counters.superseded) == (3, 2)


@pytest.mark.parametrize("change", ["instruct", "reset"])
def test_a_change_discards_the_step_under_way(bench: Bench, change: str) -> None:
    bench.policy.let_go.clear()
    bench.offer()
    assert bench.policy.entered.wait(5)
    bench.worker.instruct("stop at the door") if change == "instruct" else bench.worker.reset()
    bench.policy.let_go.set()
    bench.until(lambda: bench.counters.discarded == 1)
    assert bench.actions == []
    bench.offer()
    bench.until(lambda: bench.actions)
    assert bench.policy.resets == 2
    assert bench.policy.steps[-1] == ("stop at the door" if change == "instruct" else "go to the ball")


def test_no_action_without_an_instruction() -> None:
    bench = Bench()
    bench.worker.start()
    bench.offer()
    bench.until(lambda: bench.counters.waiting_for_instruction == 1)
    assert bench.worker.state().error == "waiting for an instruction"
    bench.worker.stop()
    assert bench.policy.steps == []


@pytest.mark.parametrize(("age_s", "counter"), [(0.5, "too_old"), (-0.5, "unhealthy")])
def test_stale_and_future_frames_are_dropped(bench: Bench, age_s: float, counter: str) -> None:
    bench.offer(age_s)
    bench.until(lambda: getattr(bench.counters, counter) == 1)
    assert bench.policy.steps == []


def test_an_unhealthy_frame_is_dropped_with_its_reason() -> None:
    bench = Bench(judge=lambda frame, stamp_ns, encoding: FrameVerdict(False, "camera frozen"))
    bench.worker.instruct("go")
    bench.worker.start()
    bench.offer()
    bench.until(lambda: bench.counters.unhealthy == 1)
    assert bench.worker.state().error == "camera frozen"
    bench.worker.stop()
    assert bench.actions == []


def test_an_exception_is_no_action_and_the_next_frame_is_tried(bench: Bench) -> None:
    bench.policy.error = MemoryError("out of memory")
    bench.offer()
    bench.until(lambda: bench.counters.failed == 1)
    assert bench.worker.state().error == "MemoryError: out of memory"
    assert bench.actions == []
    bench.policy.error = None
    bench.offer()
    bench.until(lambda: bench.actions)
    assert bench.worker.state().error == ""
    assert bench.policy.resets == 2, "the recurrent state after a failure is not trusted"


@pytest.mark.parametrize("where", ["reset", "on_action"])
def test_an_exception_beside_the_step_does_not_end_the_thread(bench: Bench, where: str) -> None:
    def fail(*_: Any) -> None:
        setattr(*healthy)
        raise OverflowError("no stamp")

    if where == "reset":
        healthy = (bench.policy, "reset", bench.policy.reset)
        bench.policy.reset = fail  # type: ignore[method-assign]
    else:
        healthy = (bench.worker, "_on_action", bench.worker._on_action)
        bench.worker._on_action = fail
    bench.offer()
    bench.until(lambda: bench.counters.failed == 1)
    assert "OverflowError: no stamp" in bench.worker.state().error
    bench.offer()
    bench.until(lambda: bench.actions)


def test_every_frame_is_accounted_for(bench: Bench) -> None:
    for _ in range(50):
        bench.offer()
    bench.until(lambda: bench.counters.stepped + bench.counters.superseded == 50)
    assert bench.counters.offered == 50


@pytest.mark.parametrize(
    ("camera_hz", "policy_hz", "expected_hz"), [(30, 10, 10), (15, 10, 10), (20, 10, 10), (5, 10, 5), (30, 30, 30)]
)
def test_steps_come_at_the_wanted_rate_on_fresh_frames(camera_hz: int, policy_hz: int, expected_hz: int) -> None:
    pace = StepPacing(1 / policy_hz)
    jitter = np.random.default_rng(0).normal(0, 0.002, 600)
    steps = 0
    for number in range(600):
        arrival_s = number / camera_hz + jitter[number]
        pace.arrived(int(arrival_s * 1e9))
        steps += pace.takes(1000 + arrival_s)
    assert steps / (600 / camera_hz) == pytest.approx(expected_hz, rel=0.05)


def test_without_a_period_every_frame_is_taken() -> None:
    pace = StepPacing(0.0)
    assert all(pace.takes(number / 30) for number in range(30))
