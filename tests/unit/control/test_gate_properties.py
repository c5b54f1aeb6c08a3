"""Arbitrary inputs: no output beyond limits, no motion without a live source, none after a stop until re-armed."""

from __future__ import annotations

import math

from effort import examples
from gate_rig import stopping_time_s
from hypothesis import given, settings
from hypothesis import strategies as st

from mobile_vla.config import with_values
from mobile_vla.control import Command, ControllerConfig, Gate, Mode, Now, ScanGeometry, Velocity
from mobile_vla.control.envelope import axis_limits, output_limits

MS = 1_000_000
CONFIGS = [
    with_values(ControllerConfig(), values)
    for values in (
        {},
        {"base.kind": "omni", "action.space": "omni", "action.between": "interpolate"},
        {"base.kind": "ackermann", "action.space": "ackermann"},
        {
            "base.kind": "ackermann",
            "action.space": "ackermann",
            "base.wheelbase_m": 0.05,
            "limits.turn.accel_radps2": 0.5,
            "limits.turn.decel_radps2": 1.0,
            "limits.turn.jerk_radps3": 8.0,
        },
        {"base.kind": "ackermann", "action.space": "ackermann", "base.ackermann_output": "angle"},
        {"range_guard.use_scan": True, "action.between": "ramp", "output.idle": "silent"},
        {"require.odometry": True, "limits.linear.accel_mps2": 3.0, "limits.linear.jerk_mps3": 4.0},
    )
]
TOPICS = ("cmd_vel", "action", "scan", "odom")
GEOMETRY = ScanGeometry(-math.pi, math.radians(4), 0.1, 10.0)

numbers = st.one_of(
    st.floats(-1.2, 1.2),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1.0, -1.0, 1e300, -1e300, math.nan, math.inf]),
)
velocities = st.builds(Velocity, numbers, st.just(0.0) | numbers, numbers)
sane = st.builds(Velocity, st.floats(-1, 1), st.just(0.0), st.floats(-1, 1))
ages_ms = st.one_of(st.integers(0, 200), st.integers(-200, 3000))
steps = st.one_of(
    st.tuples(st.just("action"), sane | velocities, ages_ms),
    st.tuples(st.just("action"), sane, st.integers(0, 150)),
    st.tuples(st.just("teleop"), st.sampled_from(["joy", "keyboard"]), sane, st.integers(0, 100)),
    st.tuples(st.just("teleop"), st.just("joy"), sane, st.integers(0, 20)),
    st.tuples(st.just("release"), st.sampled_from(["joy", "keyboard"])),
    st.tuples(st.just("teleop"), st.sampled_from(["joy", "keyboard", "web", "x"]), sane | velocities, ages_ms),
    st.tuples(
        st.just("scan"),
        st.lists(numbers, max_size=100) | st.lists(st.floats(0.05, 3), min_size=90, max_size=90),
        ages_ms,
    ),
    st.tuples(st.just("odometry"), numbers, ages_ms),
    st.tuples(st.just("status"), st.booleans()),
    st.tuples(st.just("image"), st.sampled_from(["", "", "frozen"])),
    st.tuples(st.just("arm")),
    st.tuples(st.just("arm")),
    st.tuples(st.just("disarm")),
    st.tuples(st.just("estop")),
    st.tuples(st.just("pressed"), st.booleans(), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("writers"), st.sampled_from([{}, {"a": "/a"}, {"a": "/a", "b": "/b"}])),
    st.tuples(st.just("reset")),
    st.tuples(st.just("instruction")),
    st.tuples(st.just("config"), st.integers(5, 100)),
    st.tuples(st.just("publishers"), st.sampled_from(TOPICS), st.sampled_from([1, 1, 1, 2])),
    st.tuples(st.just("clock"), st.integers(-5000, 5000)),
    st.tuples(st.just("gap"), st.integers(251, 8000)),
)
moves = st.tuples(steps, st.integers(1, 40), st.integers(1, 90))


class Bench:
    """Feeds a gate and checks each command against the limits and against what could have caused it."""

    def __init__(self, config: ControllerConfig) -> None:
        self.config = config
        self.gate = Gate(config)
        self.steady_ns = 10**9
        self.ros_ns = 10**18
        self.stopped = True
        self.before = (0.0, 0.0, 0.0)
        self.slopes = (0.0, 0.0, 0.0)
        self.last_source_ns = 0
        self.stopping_s = max(
            stopping_time_s(max(limits.forward, limits.reverse), limits, config.period_s)
            for limits in (*axis_limits(config), *output_limits(config))
        )

    @property
    def now(self) -> Now:
        return Now(self.steady_ns, self.ros_ns)

    def do(self, step: tuple) -> None:  # noqa: PLR0912  (one line per kind of input)
        gate, now = self.gate, self.now
        match step:
            case ("action", velocity, age_ms):
                gate.offer_action(self.ros_ns - age_ms * MS, self.config.action.space, velocity, now)
            case ("teleop", source, velocity, age_ms):
                gate.offer_teleop(source, self.ros_ns - age_ms * MS, velocity, now)
            case ("release", source):
                gate.offer_teleop(source, self.ros_ns, Velocity(0.0, 0.0, 0.0), now, released=True)
            case ("scan", ranges, age_ms):
                gate.offer_scan(self.ros_ns - age_ms * MS, ranges, GEOMETRY, now)
            case ("odometry", value, age_ms):
                gate.offer_odometry(self.ros_ns - age_ms * MS, value, 0.0, now)
            case ("status", ready):
                gate.offer_policy_status(ready, "", now)
            case ("image", trouble):
                gate.offer_image_health(trouble)
            case ("arm",):
                self.stopped = not gate.arm(now).ok
            case ("disarm",):
                gate.disarm(now)
            case ("estop",):
                gate.estop("test", now)
                self.stopped = True
            case ("writers", names):
                gate.offer_estop_writers(names)
            case ("pressed", pressed, writer):
                gate.offer_estop_input(pressed, now, writer)
                self.stopped = self.stopped or pressed
            case ("reset",):
                gate.reset_estop(now)
            case ("instruction",):
                gate.instruction_changed(now)
            case ("publishers", topic, count):
                gate.offer_publishers({topic: ["/a", "/b"][:count]})
            case ("clock", milliseconds):
                self.ros_ns += milliseconds * MS
            case ("gap", milliseconds):
                self.tick(milliseconds)
            case ("config", percent):
                gate.reconfigure(with_values(self.config, {"limits.handover.accel_share": percent / 100}))

    def tick(self, milliseconds: int) -> Command:
        self.steady_ns += milliseconds * MS
        self.ros_ns += milliseconds * MS
        command = self.gate.tick(self.now)
        if command.reset_policy:
            self.gate.policy_was_reset(command.reset_policy, self.now)
        self.check(command, milliseconds / 1000)
        return command

    def check(self, command: Command, dt_s: float) -> None:
        values = (command.linear_x, command.linear_y, command.angular_z)
        if self.stopped:
            assert command.mode in (Mode.ESTOP, Mode.DISARMED)
        if command.mode is Mode.ESTOP:
            assert values == (0.0, 0.0, 0.0)
            assert command.publish
            self.before, self.slopes = values, (0.0, 0.0, 0.0)
            return
        if dt_s > self.config.output.silence_s:
            assert values == (0.0, 0.0, 0.0), "whatever was driving before a gap"
            assert command.publish
            self.before, self.slopes = values, (0.0, 0.0, 0.0)
            return
        if self.stopped and self.before == (0.0, 0.0, 0.0):
            assert values == (0.0, 0.0, 0.0)
        step_s = min(dt_s, self.config.period_s)
        slopes = []
        for value, before, slope_before, limits in zip(
            values, self.before, self.slopes, output_limits(self.config), strict=True
        ):
            assert math.isfinite(value)
            assert -limits.reverse - 1e-9 <= value <= limits.forward + 1e-9
            slope = (value - before) / step_s
            growing = (before == 0 or slope * before > 0) and before * value >= 0
            assert abs(slope) <= (limits.accel if growing else limits.decel) + 1e-6
            assert abs(slope - slope_before) <= limits.jerk * step_s + 1e-6
            slopes.append(slope)
        if values != (0.0, 0.0, 0.0):
            assert command.publish
        if command.mode in (Mode.AUTONOMY, Mode.TELEOP):
            self.last_source_ns = self.steady_ns
            assert command.source in ("policy", "joy", "keyboard", "web")
            if command.mode is Mode.AUTONOMY:
                assert command.ages.action is not None
                assert command.ages.action <= 1.0
            else:
                assert command.ages.teleop is not None
                assert command.ages.teleop <= 0.25
        else:
            assert command.source == "none"
            assert command.target == (0.0, 0.0, 0.0)
        self.before, self.slopes = values, tuple(slopes)


@settings(max_examples=examples(100))
@given(st.sampled_from(CONFIGS), st.lists(moves, max_size=40))
def test_no_sequence_of_inputs_breaks_a_promise(config: ControllerConfig, sequence: list[tuple]) -> None:
    bench = Bench(config)
    prepare(bench)
    for step, repeats, milliseconds in sequence:
        for index in range(repeats):
            if index == 0 or step[0] in ("action", "teleop", "scan", "odometry"):
                bench.do(step)
            bench.tick(milliseconds)
    for topic in TOPICS:
        bench.do(("publishers", topic, 1))
    for _ in range(round((1.5 + bench.stopping_s) / config.period_s) + 1):
        command = bench.tick(round(config.period_s * 1000) + 1)
    assert (command.linear_x, command.linear_y, command.angular_z) == (0.0, 0.0, 0.0)


def prepare(bench: Bench) -> None:
    """Everything alive, armed and driving, so that sequences begin where they can do harm."""
    for index in range(60):
        bench.do(("status", True))
        bench.do(("odometry", 0.0, 0))
        bench.do(("scan", [5.0] * 90, 0))
        bench.do(("action", Velocity(0.9, 0.0, 0.0), 20))
        if index == 5:
            bench.do(("arm",))
        command = bench.tick(33)
    assert command.mode is Mode.AUTONOMY
    assert command.linear_x > 0.1


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(velocities, ages_ms, st.integers(1, 60)), max_size=80))
def test_nothing_moves_before_arming(messages: list[tuple]) -> None:
    bench = Bench(ControllerConfig())
    for velocity, age_ms, milliseconds in messages:
        bench.do(("status", True))
        bench.do(("action", velocity, age_ms))
        bench.do(("teleop", "joy", velocity, age_ms))
        command = bench.tick(milliseconds)
        assert command.mode is Mode.DISARMED
        assert (command.linear_x, command.linear_y, command.angular_z) == (0.0, 0.0, 0.0)


@settings(max_examples=examples(40))
@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.sampled_from(["action", "teleop", "instruction", "reset", "none"])),
        max_size=60,
    )
)
def test_after_a_stop_nothing_moves_until_reset_and_rearmed(events: list[tuple[int, str]]) -> None:
    bench = Bench(ControllerConfig())
    prepare(bench)
    bench.do(("estop",))
    for milliseconds, event in events:
        if event == "teleop":
            bench.do(("teleop", "joy", Velocity(0.5, 0.0, 0.5), 0))
        elif event == "action":
            bench.do(("action", Velocity(1.0, 0.0, 1.0), 5))
        elif event != "none":
            bench.do((event,))
        command = bench.tick(milliseconds)
        assert (command.linear_x, command.angular_z) == (0.0, 0.0)
