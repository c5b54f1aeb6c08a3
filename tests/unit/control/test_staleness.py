from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.config import with_values
from mobile_vla.control import STILL, ControllerConfig, Now, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.latency import STEP_NS
from mobile_vla.control.staleness import Actions, Watchdog

MS = 1_000_000
ROS = 1_000_000 * MS
FULL = Velocity(1.0, 0.0, 0.0)


def at(milliseconds: int) -> Now:
    return Now(77 * MS + milliseconds * MS, ROS + milliseconds * MS)


def actions(**values: object) -> Actions:
    return Actions(with_values(ControllerConfig(), {key.replace("__", "."): value for key, value in values.items()}))


def offer(unit: Actions, now_ms: int, age_ms: int, action: Velocity = FULL, frame_id: str = "diff") -> None:
    unit.offer(ROS + (now_ms - age_ms) * MS, frame_id, action, at(now_ms))


def code_of(unit: Actions, now_ms: int, age_ms: int, **options: object) -> str:
    with pytest.raises(Rejected) as caught:
        offer(unit, now_ms, age_ms, **options)  # type: ignore[arg-type]
    return caught.value.code


def test_age_counts_from_the_camera_stamp() -> None:
    unit = actions()
    offer(unit, 1000, 90)
    assert unit.live(at(1000 + 210).steady_ns)
    assert not unit.live(at(1000 + 211).steady_ns)
    assert unit.velocity(at(1211).steady_ns) == STILL
    assert unit.image_age_ns(at(1010).steady_ns) == 100 * MS


def feed(unit: Actions, ages_ms: list[int], start_ms: int = 1000, armed: bool = True) -> int:
    """One action every 700 ms, so that all are in order; the time of the next."""
    for index, age_ms in enumerate(ages_ms):
        now_ms = start_ms + index * 700
        with suppress(Rejected):
            unit.offer(ROS + (now_ms - age_ms) * MS, "diff", FULL, at(now_ms), armed)
    return start_ms + len(ages_ms) * 700


@pytest.mark.parametrize(
    ("ages_ms", "lifetime_ms"),
    [
        ([50], 300),
        ([100] * 20, 300),
        ([150] * 20, 450),
        ([400] * 20, 1000),
        ([1500] * 20, 1000),
        ([150] * 95 + [10] * 64, 300),
        ([120] * 11 + [600] * 9, 360),
        ([120] * 9 + [600] * 11, 1000),
    ],
)
def test_while_disarmed_the_lifetime_follows_what_most_actions_need(ages_ms: list[int], lifetime_ms: int) -> None:
    unit = actions()
    feed(unit, ages_ms, armed=False)
    assert unit.lifetime_ns == lifetime_ms * MS


def test_a_slow_policy_that_was_known_before_arming_is_used_afterwards() -> None:
    unit = actions()
    now_ms = feed(unit, [400] * 5, armed=False)
    offer(unit, now_ms, 400)
    assert unit.live(at(now_ms + 600).steady_ns)


@pytest.mark.parametrize("age_ms", [310, 600, 999])
def test_actions_that_are_refused_never_lengthen_the_life_of_others(age_ms: int) -> None:
    unit = actions()
    now_ms = feed(unit, [50] * 5)
    now_ms = feed(unit, [age_ms] * 200, now_ms)
    assert unit.lifetime_ns == 300 * MS
    assert code_of(unit, now_ms, age_ms) == "action.too_old"


def test_a_policy_that_becomes_slower_is_followed_step_by_step_and_back_at_once() -> None:
    unit = actions()
    now_ms = feed(unit, [100] * 64)
    lifetimes = []
    for _ in range(20):
        now_ms = feed(unit, [250], now_ms)
        lifetimes.append(unit.lifetime_ns // MS)
    assert lifetimes[:3] == [300, 300, 300], "4 of 64 are no p95"
    assert lifetimes[3:6] == [330, 360, 390]
    assert lifetimes[-1] == 750
    feed(unit, [100] * 62, now_ms)
    assert unit.lifetime_ns == 300 * MS


@given(
    st.lists(st.integers(0, 290), max_size=80),
    st.lists(st.integers(250, 1500), max_size=30),
    st.integers(30, 700),
    st.booleans(),
)
def test_a_burst_of_delayed_actions_lengthens_no_more_than_a_step_each(
    before_ms: list[int], burst_ms: list[int], pause_ms: int, in_order: bool
) -> None:
    """Promised: at most the factor times one step for every late action that was accepted, never beyond the cap."""
    unit = actions()
    now_ms = feed(unit, before_ms)
    lifetime_ns, accepted = unit.lifetime_ns, 0
    for index, age_ms in enumerate(burst_ms):
        now_ms += pause_ms
        before = unit.newest
        with suppress(Rejected):
            offer(unit, now_ms, burst_ms[0] + index if in_order else age_ms)
        accepted += unit.newest is not before
        allowed_ns = min(lifetime_ns + accepted * 3 * STEP_NS, 1000 * MS)
        assert unit.lifetime_ns <= max(allowed_ns, 300 * MS)
    newest = unit.newest
    if newest is not None:
        longest_ns = max(min(lifetime_ns + accepted * 3 * STEP_NS, 1000 * MS), 300 * MS)
        assert newest.deadline_ns - newest.image_ns <= longest_ns
        assert unit.velocity(newest.image_ns + longest_ns + 1) == STILL


@pytest.mark.parametrize(
    ("now_ms", "age_ms", "code"),
    [(1000, 1001, "action.too_old"), (1000, -51, "action.future_stamp"), (1000, ROS // MS + 1000, "action.zero_stamp")],
)
def test_stamps_that_are_not_used(now_ms: int, age_ms: int, code: str) -> None:
    assert code_of(actions(), now_ms, age_ms) == code


def test_a_stamp_slightly_ahead_counts_as_now() -> None:
    unit = actions()
    offer(unit, 1000, -49)
    assert unit.image_age_ns(at(1000).steady_ns) == 0


@pytest.mark.parametrize("age_ms", [100, 110, 140])
def test_repeated_and_older_stamps_are_refused(age_ms: int) -> None:
    unit = actions()
    offer(unit, 1000, 100)
    assert code_of(unit, 1000, age_ms) == "action.out_of_order"


def test_invalidate_before_discards_what_was_computed_from_older_images() -> None:
    unit = actions()
    offer(unit, 1000, 50)
    unit.invalidate_before(at(1010).ros_ns)
    assert not unit.live(at(1010).steady_ns)
    assert code_of(unit, 1100, 90) == "action.invalidated"
    assert unit.image_age_ns(at(1100).steady_ns) == 90 * MS
    offer(unit, 1101, 90)
    assert unit.live(at(1101).steady_ns)


def test_invalidation_never_moves_back() -> None:
    unit = actions()
    unit.invalidate_before(at(2000).ros_ns)
    unit.invalidate_before(at(1000).ros_ns)
    assert unit.valid_after_ns == at(2000).ros_ns


def test_clock_set_back_starts_over() -> None:
    unit = actions()
    offer(unit, 5000, 50)
    unit.clock_set_back(at(1000).ros_ns)
    assert not unit.live(at(5000).steady_ns)
    unit.offer(at(1100).ros_ns, "diff", FULL, Now(at(5100).steady_ns, at(1150).ros_ns))
    assert unit.live(at(5100).steady_ns)


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ("hold", [0.3, 0.3, 0.3, 0.3, 0.0]),
        ("ramp", [0.3, 0.3, 0.15, 0.0, 0.0]),
        ("interpolate", [0.1, 0.2, 0.3, 0.3, 0.0]),
    ],
)
def test_between_two_actions(between: str, expected: list[float]) -> None:
    unit = actions(action__between=between)
    offer(unit, 1000, 0, Velocity(1 / 3, 0.0, 0.0))
    offer(unit, 1100, 0)
    moments = (1100, 1150, 1200, 1400, 1401) if between == "interpolate" else (1100, 1200, 1300, 1400, 1401)
    assert [unit.velocity(at(moment).steady_ns).forward for moment in moments] == pytest.approx(expected)


@pytest.mark.parametrize("between", ["hold", "ramp", "interpolate"])
def test_a_first_action_is_used_as_it_is(between: str) -> None:
    unit = actions(action__between=between)
    offer(unit, 1000, 0)
    assert unit.velocity(at(1000).steady_ns).forward == pytest.approx(0.3)


def test_an_action_as_old_as_its_lifetime_is_taken_for_that_moment_only() -> None:
    unit = actions()
    offer(unit, 1000, 300)
    assert unit.live(at(1000).steady_ns)
    assert not unit.live(at(1001).steady_ns)


def test_actions_further_apart_than_they_live_do_not_ramp() -> None:
    unit = actions(action__between="ramp")
    offer(unit, 1000, 0)
    offer(unit, 1700, 0)
    forward = [unit.velocity(at(moment).steady_ns).forward for moment in (1700, 1999, 2000, 2001)]
    assert forward == pytest.approx([0.3, 0.3, 0.3, 0.0])


@pytest.mark.parametrize("between", ["hold", "ramp", "interpolate"])
def test_of_two_actions_at_the_same_moment_the_newer_counts_at_once(between: str) -> None:
    unit = actions(action__between=between)
    offer(unit, 1000, 50, Velocity(-1.0, 0.0, 0.0))
    offer(unit, 1000, 20)
    assert unit.velocity(at(1000).steady_ns).forward == pytest.approx(0.3)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(-100, 1500)), max_size=60))
def test_deadlines_come_from_newer_images_only_and_are_bounded(steps: list[tuple[int, int]]) -> None:
    unit = actions()
    now_ms, image_ns, stamp_ns = 0, -ROS, 0
    for pause_ms, age_ms in steps:
        now_ms += pause_ms
        before = unit.newest
        try:
            offer(unit, now_ms, age_ms)
        except Rejected:
            assert unit.newest is before
            continue
        newest = unit.newest
        assert newest is not None
        assert newest.stamp_ns > stamp_ns
        assert newest.image_ns >= image_ns
        assert newest.image_ns <= at(now_ms).steady_ns
        assert 300 * MS <= newest.deadline_ns - newest.image_ns <= 1000 * MS
        stamp_ns, image_ns = newest.stamp_ns, newest.image_ns


def test_watchdog() -> None:
    dog = Watchdog("scan")
    assert not dog.alive(at(0).steady_ns, 500 * MS)
    assert dog.age_ns(0) is None
    dog.offer(at(900).ros_ns, at(1000), 500 * MS, 50 * MS)
    assert dog.alive(at(1400).steady_ns, 500 * MS)
    assert not dog.alive(at(1401).steady_ns, 500 * MS)
    for stamp_ms, now_ms in ((900, 1100), (1000, 1501), (1200, 1100)):
        with pytest.raises(Rejected):
            dog.offer(at(stamp_ms).ros_ns, at(now_ms), 500 * MS, 50 * MS)
    assert dog.age_ns(at(1400).steady_ns) == 500 * MS
    dog.forget_stamp()
    dog.offer(at(500).ros_ns, at(600), 500 * MS, 50 * MS)


@pytest.mark.parametrize(
    ("stamp_ms", "code"), [(499, "scan.too_old"), (1051, "scan.future_stamp"), (-1_000_000, "scan.zero_stamp")]
)
def test_what_a_watchdog_refuses_is_counted_under_its_source(stamp_ms: int, code: str) -> None:
    dog = Watchdog("scan")
    with pytest.raises(Rejected) as caught:
        dog.offer(at(stamp_ms).ros_ns, at(1000), 500 * MS, 50 * MS)
    assert caught.value.code == code
    assert not dog.alive(at(1000).steady_ns, 500 * MS)
    dog.offer(at(500).ros_ns, at(1000), 500 * MS, 50 * MS)
    assert dog.alive(at(1000).steady_ns, 500 * MS)
