"""Every figure, worked out by hand on a handful of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mobile_vla.evaluate import metrics

RECORDED = np.array([0.0, 0.2, 0.4, -0.2])
PREDICTED = np.array([0.1, 0.2, 0.2, -0.3])
ONE = np.zeros(4, np.int64)


def test_agreement_by_hand() -> None:
    # errors 0.1, 0, -0.2, -0.1: mean absolute 0.1, mean square 0.015; recorded: mean 0.1, variance 0.05, range 0.6
    got = metrics.agreement(PREDICTED, RECORDED, full=1.0)
    assert got.n == 4
    assert got.mae == pytest.approx(0.1)
    assert got.rmse == pytest.approx(math.sqrt(0.015))
    assert got.nrmse == pytest.approx(math.sqrt(0.015) / 0.6)
    assert got.r2 == pytest.approx(1 - 0.015 / 0.05)
    # sums of products about the means (0.05 and 0.1): 0.155 / 4 over sqrt(0.0425 * 0.05)
    assert got.correlation == pytest.approx(0.04 / math.sqrt(0.0425 * 0.05))
    assert got.direction_agreement == 1.0  # of the three that move
    assert got.within_tolerance == pytest.approx(0.75)


def test_direction_ignores_what_stands_still() -> None:
    got = metrics.agreement(np.array([0.5, -0.5, 0.5]), np.array([0.3, 0.3, 0.01]), full=1.0)
    assert got.direction_agreement == 0.5


def test_a_constant_recording_has_no_r2_and_no_correlation() -> None:
    got = metrics.agreement(PREDICTED, np.full(4, 0.2), full=1.0)
    assert got.mae == pytest.approx(0.15)
    assert math.isnan(got.r2)
    assert math.isnan(got.correlation)


def test_baselines() -> None:
    assert metrics.mean_baseline(RECORDED).tolist() == pytest.approx([0.1] * 4)
    episodes = np.array([0, 0, 1, 1])
    assert metrics.repeat_baseline(RECORDED, episodes).tolist() == [0.0, 0.0, 0.0, 0.4]
    assert metrics.agreement(metrics.mean_baseline(RECORDED), RECORDED, 1.0).r2 == pytest.approx(0.0)


@pytest.mark.parametrize("delay", [-3, 0, 4])
def test_lag_is_found_with_its_sign(delay: int) -> None:
    signal = np.random.default_rng(0).normal(size=200)
    episode = np.zeros(180, np.int64)
    predicted, recorded = signal[10:190], signal[10 - delay : 190 - delay]  # recorded(t + delay) = predicted(t)
    lag_ms, curve = metrics.best_lag_ms(predicted, recorded, episode, dt_s=0.1)
    assert lag_ms == pytest.approx(delay * 100.0)
    assert dict(curve)[lag_ms] == pytest.approx(1.0)


def test_lag_does_not_compare_across_episodes() -> None:
    predicted = np.array([1.0, 2, 3, 4, 9, 7, 5, 3])
    episode = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    _, curve = metrics.best_lag_ms(predicted, predicted, episode, dt_s=0.5)
    # one step apart within episodes: pairs 1-2 2-3 3-4 and 9-7 7-5 5-3; with 4-9 it would be another number
    expected = np.corrcoef([1, 2, 3, 9, 7, 5], [2, 3, 4, 7, 5, 3])[0, 1]
    assert dict(curve)[500.0] == pytest.approx(expected)


def test_character_by_hand() -> None:
    values = np.array([0.5, -0.5, 0.01, 0.5, 1.0])
    got = metrics.character(values, np.arange(5) * 0.5, np.zeros(5, np.int64), full=1.0)
    assert got.flips_per_s == pytest.approx(2 / 2.0)  # + - (still) + +, in 2 s
    # slopes -2, 1.02, 0.98, 1.0; their changes per 0.5 s: 6.04, 0.08, 0.04
    assert got.jerk == pytest.approx((6.04 + 0.08 + 0.04) / 3)
    assert got.saturation == pytest.approx(0.2)


def test_error_while_turning_and_while_going_straight() -> None:
    turning = np.array([True, False, False, True])
    assert metrics.by_turning(PREDICTED, RECORDED, turning) == pytest.approx((0.1, 0.1))
    assert math.isnan(metrics.by_turning(PREDICTED, RECORDED, np.zeros(4, bool))[0])


def test_bootstrap_covers_the_value_and_is_repeatable() -> None:
    random = np.random.default_rng(3)
    episode = np.repeat(np.arange(20), 30)
    level = np.repeat(random.uniform(0.05, 0.25, 20), 30)
    recorded = np.zeros(600)
    first = metrics.bootstrap(level, recorded, episode)["mae"]
    assert first is not None
    assert first.low < level.mean() < first.high
    assert 0.01 < first.high - first.low < 0.1  # episodes differ by about 0.06, so the mean of 20 by about 0.013
    assert metrics.bootstrap(level, recorded, episode)["mae"] == first
    assert metrics.bootstrap(PREDICTED, RECORDED, ONE) == {"mae": None, "rmse": None}


def test_paired_comparison_is_sharper_than_two_intervals() -> None:
    random = np.random.default_rng(4)
    episode = np.repeat(np.arange(15), 20)
    hard = np.repeat(random.uniform(0.0, 1.0, 15), 20)
    value, interval = metrics.paired_difference(hard, hard + 0.01, np.zeros(300), episode)
    assert value == pytest.approx(0.01)
    assert interval is not None
    assert interval.low > 0.009


def test_nothing_to_compare() -> None:
    empty = np.array([])
    assert metrics.agreement(empty, empty, 1.0).n == 0
    assert math.isnan(metrics.character(empty, empty, np.array([], np.int64), 1.0).jerk)
    assert metrics.best_lag_ms(empty, empty, np.array([], np.int64), 0.1)[1] == []
