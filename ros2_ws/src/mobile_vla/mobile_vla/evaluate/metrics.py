"""How well one series of commands agrees with another, per axis, with what a trivial policy would have got.

Everything is numpy over whole series; the formulas are in `docs/record-and-evaluate.md`. Units are those of the axis
(m/s, rad/s); `full` is full speed of the axis, to which dead band, tolerance and saturation refer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DEAD_BAND = 0.05
"""Share of full speed below which a value has no direction."""
TOLERANCE = 0.10
"""Share of full speed within which a value counts as right."""
SATURATED = 0.99
LAG_S = 1.0
RESAMPLES = 1000
_LEAST_FOR_CORRELATION = 3


class Agreement(NamedTuple):
    """One axis. NaN where the data do not define a figure (a constant series has no correlation)."""

    n: int
    mae: float
    rmse: float
    nrmse: float
    """RMSE divided by the range of the recorded values."""
    r2: float
    correlation: float
    direction_agreement: float
    """Of the frames in which the recorded value has a direction: share in which the predicted one has the same."""
    within_tolerance: float


class Interval(NamedTuple):
    """95 % by resampling episodes."""

    low: float
    high: float


class Character(NamedTuple):
    """How a series behaves, whatever it is compared with."""

    flips_per_s: float
    jerk: float
    """Mean absolute second difference over dt squared: how jerky it is."""
    saturation: float


def agreement(predicted: Values, recorded: Values, full: float) -> Agreement:
    """Compare two series of the same length."""
    n = len(recorded)
    if n == 0:
        return Agreement(0, *([float("nan")] * 7))
    error = predicted - recorded
    mse = float(np.mean(error**2))
    spread = float(np.ptp(recorded))
    variance = float(np.var(recorded))
    moving = np.abs(recorded) > DEAD_BAND * full
    same = np.sign(predicted[moving]) == np.sign(recorded[moving])
    return Agreement(
        n,
        float(np.mean(np.abs(error))),
        mse**0.5,
        mse**0.5 / spread if spread > 0 else float("nan"),
        1.0 - mse / variance if variance > 0 else float("nan"),
        _correlation(predicted, recorded),
        float(np.mean(same)) if moving.any() else float("nan"),
        float(np.mean(np.abs(error) <= TOLERANCE * full)),
    )


def mean_baseline(recorded: Values) -> Values:
    """Always the mean of these very recordings: the best constant there is, in hindsight."""
    return np.full_like(recorded, np.mean(recorded) if len(recorded) else 0.0)


def repeat_baseline(recorded: Values, episode: NDArray[np.int64]) -> Values:
    """The recorded command of the frame before; standing still at the start of an episode."""
    before = np.zeros_like(recorded)
    if len(recorded):
        before[1:] = np.where(episode[1:] == episode[:-1], recorded[:-1], 0.0)
    return before


def best_lag_ms(
    predicted: Values, recorded: Values, episode: NDArray[np.int64], dt_s: float
) -> tuple[float, list[tuple[float, float]]]:
    """The shift that fits best, and the correlation at every shift in milliseconds.

    Positive: the recorded command comes that much later than the predicted one.
    """
    if dt_s <= 0 or len(recorded) < _LEAST_FOR_CORRELATION:
        return float("nan"), []
    reach = min(int(LAG_S / dt_s), len(recorded) - _LEAST_FOR_CORRELATION)
    curve = []
    for lag in range(-reach, reach + 1):
        first, second = (
            (slice(None, len(recorded) - lag), slice(lag, None)) if lag >= 0 else (slice(-lag, None), slice(None, lag))
        )
        together = episode[first] == episode[second]
        curve.append((lag * dt_s * 1e3, _correlation(predicted[first][together], recorded[second][together])))
    known = [(ms, value) for ms, value in curve if np.isfinite(value)]
    if not known:
        return float("nan"), curve
    best = max(known, key=lambda item: (item[1], -abs(item[0])))
    return best[0], curve


def character(values: Values, t: Values, episode: NDArray[np.int64], full: float) -> Character:
    """Sign changes, jerk and saturation of one series."""
    if len(values) == 0:
        return Character(float("nan"), float("nan"), float("nan"))
    flips, seconds, jerks = 0, 0.0, []
    for number in np.unique(episode):
        part, at = values[episode == number], t[episode == number]
        signs = np.sign(np.where(np.abs(part) > DEAD_BAND * full, part, 0.0))
        signs = signs[signs != 0]
        flips += int(np.sum(signs[1:] != signs[:-1]))
        seconds += float(at[-1] - at[0])
        steps = np.diff(at)
        if len(steps) > 1 and np.all(steps > 0):
            acceleration = np.diff(part) / steps
            jerks.append(np.abs(np.diff(acceleration)) / steps[1:])
    jerk = float(np.mean(np.concatenate(jerks))) if jerks else float("nan")
    saturated = float(np.mean(np.abs(values) >= SATURATED * full))
    return Character(flips / seconds if seconds > 0 else float("nan"), jerk, saturated)


def by_turning(predicted: Values, recorded: Values, turning: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean absolute error while the recorded robot turned, and while it went straight."""
    error = np.abs(predicted - recorded)
    return tuple(float(np.mean(error[part])) if part.any() else float("nan") for part in (turning, ~turning))  # type: ignore[return-value]


def bootstrap(
    predicted: Values, recorded: Values, episode: NDArray[np.int64], seed: int = 0
) -> dict[str, Interval | None]:
    """Intervals of mae and rmse; None with a single episode, because nothing then says how episodes differ."""
    numbers = np.unique(episode)
    if len(numbers) < 2:
        return {"mae": None, "rmse": None}
    error = predicted - recorded
    sums = np.array(
        [[np.sum(part := episode == n), np.abs(error[part]).sum(), (error[part] ** 2).sum()] for n in numbers]
    )
    drawn = sums[_resamples(len(numbers), seed)].sum(axis=1)
    return {
        "mae": _interval(drawn[:, 1] / drawn[:, 0]),
        "rmse": _interval(np.sqrt(drawn[:, 2] / drawn[:, 0])),
    }


def paired_difference(
    first: Values, second: Values, recorded: Values, episode: NDArray[np.int64], seed: int = 0
) -> tuple[float, Interval | None]:
    """Mean absolute error of the second minus that of the first, on the same frames; negative: the second is better."""
    difference = np.abs(second - recorded) - np.abs(first - recorded)
    numbers = np.unique(episode)
    value = float(np.mean(difference)) if len(difference) else float("nan")
    if len(numbers) < 2:
        return value, None
    sums = np.array([[np.sum(part := episode == n), difference[part].sum()] for n in numbers])
    drawn = sums[_resamples(len(numbers), seed)].sum(axis=1)
    return value, _interval(drawn[:, 1] / drawn[:, 0])


def _resamples(count: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))


def _interval(values: Sequence[float] | NDArray[Any]) -> Interval:
    low, high = np.percentile(np.asarray(values), [2.5, 97.5])
    return Interval(float(low), float(high))


def _correlation(a: Values, b: Values) -> float:
    if len(a) < _LEAST_FOR_CORRELATION or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
