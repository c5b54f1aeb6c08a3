"""The thread that owns the policy: newest frame in, action out, everything outdated discarded.

Thread contract: `offer`, `instruct` and `reset` may be called from any thread and only store. The policy is loaded
and stepped by the worker's own thread and by nothing else; `on_action` and `on_change` are called on that thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mobile_vla.policy.interface import Policy
from mobile_vla.timing import RateMeter, Timings

if TYPE_CHECKING:
    from mobile_vla.policy.interface import RgbImage

FAILURES_BEFORE_ERROR = 3
FUTURE_TOLERANCE_S = 0.05
STAGES = ("preprocess", "encode", "head", "step")


class PendingFrame(NamedTuple):
    """A frame waiting for its step; decoded only when its turn comes, because most frames are replaced before."""

    stamp_ns: int
    decode: Callable[[], RgbImage]
    encoding: str = ""


class FrameCheck(Protocol):
    """Whether a frame may be acted on, and why not."""

    @property
    def ok(self) -> bool: ...

    @property
    def reason(self) -> str: ...


@dataclass
class Counters:
    """What happened to the frames; every frame offered ends in exactly one of the other numbers."""

    offered: int = 0
    stepped: int = 0
    superseded: int = 0
    between_steps: int = 0
    too_old: int = 0
    unhealthy: int = 0
    discarded: int = 0
    failed: int = 0
    waiting_for_instruction: int = 0


@dataclass
class WorkerState:
    """What a node reports; copied out under the lock."""

    instruction: str = ""
    error: str = ""
    image_error: str = ""
    failures_in_row: int = 0
    counters: Counters = field(default_factory=Counters)


class StepPacing:
    """Chooses the frames to step on, so that steps come at the wanted period and always on a frame that just arrived.

    A frame is taken when the next one would come later than the due time by more than this one comes early.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due_s = 0.0
        self._interval_s = 0.0
        self._last_ns = 0

    def arrived(self, stamp_ns: int) -> None:
        """Learn the time between frames from their stamps."""
        interval_s = (stamp_ns - self._last_ns) / 1e9
        self._last_ns = stamp_ns
        if 0 < interval_s < 1:
            self._interval_s += 0.2 * (interval_s - self._interval_s)

    def takes(self, now_s: float) -> bool:
        """Whether a frame that is here now is the one to step on."""
        if self._due_s - now_s > self._interval_s / 2:
            return False
        self._due_s = max(self._due_s, now_s - self._period_s / 2) + self._period_s
        return True


class InferenceWorker:
    """Runs one policy on the newest frame. `now_ns` is the clock the frame stamps are made with."""

    def __init__(
        self,
        policy: Policy,
        *,
        now_ns: Callable[[], int],
        on_action: Callable[[int, tuple[float, float]], None],
        max_age_s: float,
        period_s: float = 0.0,
        judge: Callable[[RgbImage, int, str], FrameCheck] | None = None,
    ) -> None:
        self._policy = policy
        self._now_ns = now_ns
        self._on_action = on_action
        self._judge = judge
        self.max_age_s = max_age_s
        self._pace = StepPacing(period_s)
        self._condition = threading.Condition()
        self._job: PendingFrame | None = None
        self._epoch = 0
        self._reset_wanted = True
        self._running = False
        self._state = WorkerState()
        self.timings = {stage: Timings() for stage in STAGES}
        self.image_age = Timings()
        self.rate = RateMeter()
        self._thread = threading.Thread(target=self._run, name="policy", daemon=True)

    def start(self) -> None:
        self._running = True
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step under way."""
        with self._condition:
            self._running = False
            self._condition.notify()
        self._thread.join()

    def offer(self, *jobs: PendingFrame) -> None:
        """Replace the waiting frame by the last of these, which came together; frames are never queued."""
        with self._condition:
            for job in jobs:
                self._pace.arrived(job.stamp_ns)
                self._state.counters.offered += 1
                if self._job is not None:
                    self._state.counters.superseded += 1
                self._job = job
            self._condition.notify()

    def instruct(self, text: str) -> None:
        """Follow another sentence from the next step on; the step under way is discarded."""
        text = " ".join(text.split())
        with self._condition:
            if text != self._state.instruction:
                self._state.instruction = text
                self._invalidate()

    def reset(self) -> None:
        """Forget the recurrent state; the step under way is discarded."""
        with self._condition:
            self._invalidate()

    def state(self) -> WorkerState:
        with self._condition:
            return replace(self._state, counters=replace(self._state.counters))

    def _invalidate(self) -> None:
        self._epoch += 1
        self._reset_wanted = True
        self._job = None

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: not self._running or self._job is not None)
                if not self._running:
                    return
                job, self._job = self._job, None
                if not self._pace.takes(time.monotonic()):
                    self._state.counters.between_steps += 1
                    continue
                epoch, instruction = self._epoch, self._state.instruction
                reset, self._reset_wanted = self._reset_wanted, False
            try:
                if reset:
                    self._policy.reset()
                if job is not None:
                    self._step(job, epoch, instruction)
            except Exception as error:  # noqa: BLE001  whatever the model throws, the robot gets no action and a person gets the reason
                self._failed(error)

    def _step(self, job: PendingFrame, epoch: int, instruction: str) -> None:
        if not instruction:
            self._note("waiting for an instruction", "waiting_for_instruction")
            return
        age_s = (self._now_ns() - job.stamp_ns) / 1e9
        if age_s > self.max_age_s:
            self._note(f"frame was {age_s:.2f} s old, limit {self.max_age_s:g} s", "too_old")
            return
        if age_s < -FUTURE_TOLERANCE_S:
            self._note(f"frame is stamped {-age_s:.2f} s in the future; check the camera's clock", "unhealthy")
            return
        frame = job.decode()
        if self._judge is not None and not (judgement := self._judge(frame, job.stamp_ns, job.encoding)).ok:
            self._note(judgement.reason, "unhealthy")
            return
        with self.timings["step"].measure():
            step = self._policy.step(frame, instruction)
        for stage, milliseconds in step.timings_ms.items():
            self.timings.setdefault(stage, Timings()).add(milliseconds)
        with self._condition:
            if epoch != self._epoch or not self._running:
                self._state.counters.discarded += 1
                return
            self._on_action(job.stamp_ns, step.action)
            self._state.counters.stepped += 1
            self._state.error = self._state.image_error = ""
            self._state.failures_in_row = 0
        now_ns = self._now_ns()
        self.image_age.add((now_ns - job.stamp_ns) / 1e6)
        self.rate.tick(now_ns)

    def _failed(self, error: Exception) -> None:
        self._note(f"{type(error).__name__}: {error}", "failed")
        with self._condition:
            self._state.failures_in_row += 1
            self._reset_wanted = True

    def _note(self, error: str, counter: str) -> None:
        with self._condition:
            self._state.error = error
            self._state.image_error = error if counter == "unhealthy" else ""
            setattr(self._state.counters, counter, getattr(self._state.counters, counter) + 1)
