"""The page of an evaluation: what the figures mean in words, then the figures, then where they come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobile_vla.evaluate import html, plots
from mobile_vla.evaluate.metrics import DEAD_BAND, TOLERANCE, Agreement
from mobile_vla.evaluate.moments import WorstMoment
from mobile_vla.evaluate.results import AxisResult, Evaluation, GroupError, PolicyResult

_HALF = 430
_LEAST_CORRELATION = 0.3
"""Below it, a best shift means nothing."""
_AXIS_NAMES = {"linear": "Forward", "lateral": "Sideways", "angular": "Turn"}
_ROWS = (
    ("mae", "mean absolute error"),
    ("rmse", "root mean square error"),
    ("nrmse", "RMSE / range of the recording"),
    ("r2", "R2 (1 is perfect, 0 is the mean)"),
    ("correlation", "correlation"),
    ("direction_agreement", "same direction, share of moving frames"),
    ("within_tolerance", f"within {TOLERANCE:.0%} of full speed, share"),
)
_ITSELF = "the policy that drove, on its own drive"
_PERFECT = (
    "The policy that drove cannot score 1 either: its own recorded actions are compared with the commands in the same "
    "way. What it loses by answering late is R2 of the actions that the controller had at the command, minus R2 of "
    "those that answer the image; the rest is the gate."
)
_BASELINE_NAMES = {"mean": "always the mean", "repeat": "repeat the last command", "zero": "stand still"}


def evaluation_page(
    evaluation: Evaluation, worst: Sequence[WorstMoment], *, untrained: Sequence[str] = (), video: Path | None = None
) -> str:
    """The whole page; `untrained` names policies with random weights."""
    names = " and ".join(result.name for result in evaluation.results)
    bags = ", ".join(Path(bag.path).name for bag in evaluation.bags)
    parts = [html.banner(f"UNTRAINED policy {name}: random weights, its figures mean nothing") for name in untrained]
    parts.append(html.tiles(_tiles(evaluation)))
    parts.append(html.section("In words", html.bullets([*verdicts(evaluation), *evaluation.notes])))
    for result in evaluation.results:
        label = f": {result.name}" if len(evaluation.results) > 1 else ""
        parts += [_axis_section(evaluation, result, index, label) for index in (0, 1)]
    if worst:
        parts.append(_worst(worst, evaluation))
    if video is not None:
        parts.append(html.section("Video", html.video(video, "Orange: recorded. Blue: what the policy wants.")))
    for result in evaluation.results:
        label = f": {result.name}" if len(evaluation.results) > 1 else ""
        parts.append(_groups(f"By instruction{label}", result.by_instruction, evaluation))
        parts.append(_groups(f"By episode{label}", result.by_episode, evaluation))
    parts.append(_method())
    return html.page(f"Evaluation of {names}", f"against {bags}", parts)


def verdicts(evaluation: Evaluation) -> list[str]:
    """Whether each policy beats the trivial ones, per axis; then the paired comparison."""
    sentences = []
    for result in evaluation.results:
        who = result.name if len(evaluation.results) > 1 else "The policy"
        for axis in result.axes:
            if axis.policy.n:
                sentences += [_verdict(who, axis), *_perfect(axis)]
    for name, value, interval in evaluation.paired:
        first, second = (result.name for result in evaluation.results)
        better, worse, by = (second, first, -value) if value < 0 else (first, second, value)
        unit = next(axis.unit for axis in evaluation.results[0].axes if axis.axis == name)
        sure = (
            "nothing says how sure that is"
            if interval is None
            else "and that is more than chance"
            if interval.low > 0 or interval.high < 0
            else "which may be chance"
        )
        sentences.append(
            f"{_AXIS_NAMES[name]}: {better} errs {_number(by)} {unit} less than {worse} on the same frames, {sure}."
        )
    return sentences


def _verdict(who: str, axis: AxisResult) -> str:
    mean, repeat = axis.baselines["mean"].mae, axis.baselines["repeat"].mae
    mae = axis.policy.mae
    low_high = axis.intervals.get("mae")
    vary = f" (95 % from {_number(low_high.low)} to {_number(low_high.high)})" if low_high else ""
    if mae < mean * 0.98:
        judged = f"{100 * (1 - mae / mean):.0f} % less than always commanding the mean ({_number(mean)})"
    else:
        judged = f"no better than always commanding the mean ({_number(mean)})"
    return (
        f"{_AXIS_NAMES[axis.axis]}: {who} errs {_number(mae)} {axis.unit} on average{vary}, {judged}; "
        f"repeating the last command would err {_number(repeat)}."
    )


def _perfect(axis: AxisResult) -> list[str]:
    """What a copy of the policy that drove would score: the mark to measure R2 against."""
    if axis.itself is None or not math.isfinite(axis.itself.own.r2):
        return []
    itself = axis.itself
    part = f" on the {itself.own.n} frames that the recorded policy drove" if itself.own.n < axis.policy.n else ""
    sentence = (
        f"{_AXIS_NAMES[axis.axis]}: R2 is {_number(itself.same_frames.r2)}{part}; the policy that drove scores "
        f"{_number(axis.itself.own.r2)} on its own drive, because commands come later than their images "
        f"({_number(axis.itself.r2_lost_to_delay)}) and pass the gate ({_number(axis.itself.r2_lost_to_gate)}). "
        f"Against the actions of that policy this one has R2 {_number(axis.itself.reproduced.r2)}."
    )
    return [sentence]


def _tiles(evaluation: Evaluation) -> list[tuple[str, str]]:
    columns = evaluation.columns
    shown = [
        (str(len(columns.t)), "frames compared"),
        (str(len(columns.episodes)), "episodes"),
        (f"{evaluation.seconds:.0f} s", "of recording"),
        (f"{evaluation.times_real_time:.1f} x", "real time"),
    ]
    if columns.dropped:
        shown.append((str(columns.dropped), "frames withheld on purpose"))
    return shown


def _axis_section(evaluation: Evaluation, result: PolicyResult, index: int, label: str) -> str:
    axis = result.axes[index]
    title = f"{_AXIS_NAMES[axis.axis]} in {axis.unit}{label}"
    columns, policy = evaluation.columns, evaluation.results.index(result)
    t, wanted, recorded = _over_time(evaluation, policy, index)
    lines = [plots.Series("recorded", t, recorded, "s2"), plots.Series(result.name, t, wanted, "s1")]
    parts = [plots.line_plot(lines, "seconds, episode after episode", axis.unit, zero=True)]
    if axis.policy.n:
        names = list(axis.baselines)
        own = own_columns(axis, result.name, _ITSELF)
        shown = [axis.policy, *(one for _, one in own), *(axis.baselines[name] for name in names)]
        rows = [[text, *(_number(getattr(one, key)) for one in shown)] for key, text in _ROWS]
        heads = [result.name, *(head for head, _ in own), *(_BASELINE_NAMES[name] for name in names)]
        parts.append(html.table(["", *heads], rows))
        known = np.frombuffer(columns.has_command, np.int8).astype(bool)
        errors = np.abs(
            np.frombuffer(columns.predicted[policy][index])[known] - np.frombuffer(columns.recorded[index])[known]
        )
        parts.append(html.pair(_histogram(errors.tolist(), axis), _lags(axis)))
    parts.append(_behaviour(axis, result.name))
    return html.section(title, *parts)


def own_columns(axis: AxisResult, policy: str, itself: str) -> list[tuple[str, Agreement]]:
    """Heads and figures of the policy that drove. Where it drove a part of the frames only, the evaluated policy is
    shown on that part, too, and both heads say how many frames those are.
    """
    reference = axis.itself
    if reference is None:
        return []
    if reference.own.n == axis.policy.n:
        return [(itself, reference.own)]
    part = f"{reference.own.n} frames"
    return [(f"{policy}, {part}", reference.same_frames), (f"{itself}, {part}", reference.own)]


def _histogram(errors: list[float], axis: AxisResult) -> str:
    marks = [(axis.policy.mae, "mean"), (TOLERANCE * axis.full, "tolerance")]
    return plots.histogram(errors, f"absolute error in {axis.unit}", marks=marks, width=_HALF)


def _lags(axis: AxisResult) -> str:
    curve = [(ms, value) for ms, value in axis.lag_curve if math.isfinite(value)]
    if not curve:
        return html.paragraph("No correlation: one of the series is constant.", "quiet")
    plot = plots.line_plot(
        [plots.Series("correlation", [ms for ms, _ in curve], [value for _, value in curve])],
        "ms by which the recording is later",
        "correlation",
        width=_HALF,
    )
    return plot + html.paragraph(lag_sentence(axis.lag_ms, curve), "quiet")


def lag_sentence(best_ms: float, curve: Sequence[tuple[float, float]]) -> str:
    """What the best shift says; nothing where no shift fits, or the best may lie beyond those tried."""
    highest = max(value for _, value in curve)
    if highest < _LEAST_CORRELATION:
        return f"No shift makes it fit: the correlation is {highest:.2f} at most."
    if best_ms in (curve[0][0], curve[-1][0]):
        return f"It fits best at the largest shift that was tried, {best_ms:+.0f} ms: no lag can be read from this."
    if best_ms == 0:
        return "It fits best without any shift."
    return f"It fits best {abs(best_ms):.0f} ms {'before' if best_ms > 0 else 'behind'} the recording."


def _behaviour(axis: AxisResult, name: str) -> str:
    mine, theirs = axis.character, axis.recorded_character
    rows = [
        ["sign changes per second", _number(mine.flips_per_s), _number(theirs.flips_per_s)],
        [f"jerk, {axis.unit}/s2", _number(mine.jerk), _number(theirs.jerk)],
        ["at full speed, share", _number(mine.saturation), _number(theirs.saturation)],
    ]
    if axis.policy.n:
        rows += [
            [f"error while turning, {axis.unit}", _number(axis.turning_mae), ""],
            [f"error while going straight, {axis.unit}", _number(axis.straight_mae), ""],
        ]
    return html.table(["how it behaves", name, "recorded"], rows)


def _over_time(evaluation: Evaluation, policy: int, axis: int) -> tuple[list[float], list[float], list[float]]:
    """Episodes one after the other, with breaks between them."""
    columns = evaluation.columns
    t, wanted, recorded = [], [], []
    shift, last_episode, last_t = 0.0, -1, 0.0
    for i, number in enumerate(columns.episode):
        if number != last_episode:
            if last_episode >= 0:
                t.append(last_t)
                wanted.append(math.nan)
                recorded.append(math.nan)
            shift, last_episode = last_t - columns.t[i], number
        last_t = columns.t[i] + shift
        t.append(last_t)
        wanted.append(columns.predicted[policy][axis][i])
        recorded.append(columns.recorded[axis][i] if columns.has_command[i] else math.nan)
    return t, wanted, recorded


def _worst(worst: Sequence[WorstMoment], evaluation: Evaluation) -> str:
    units = [axis.unit for axis in evaluation.results[0].axes]
    names = [_AXIS_NAMES[axis].lower() for axis in evaluation.axes]
    shown = []
    for one in worst:
        words = ", ".join(
            f"{name} {_signed(one.recorded[i])} recorded, {_signed(one.predicted[i])} wanted ({units[i]})"
            for i, name in enumerate(names)
        )
        where = f"{Path(one.bag).name} at {one.t:.1f} s" if one.bag else f"at {one.t:.1f} s"
        shown.append(html.image(one.jpeg, f'{where}, "{one.instruction}": {words}'))
    return html.section("Worst moments", html.pair(*shown))


def _groups(title: str, groups: Sequence[GroupError], evaluation: Evaluation) -> str:
    units = [axis.unit for axis in evaluation.results[0].axes]
    names = [_AXIS_NAMES[axis].lower() for axis in evaluation.axes]
    headers = ["", "frames", "seconds"]
    for name, unit in zip(names, units, strict=True):
        headers += [f"{name} error, {unit}", "of the mean"]
    rows = [
        [one.name, str(one.frames), f"{one.seconds:.1f}"]
        + [cell for axis in (0, 1) for cell in (_number(one.mae[axis]), _number(one.baseline_mean[axis]))]
        for one in groups
    ]
    return html.section(title, html.table(headers, rows)) if rows else ""


def _method() -> str:
    sentences = (
        "Errors compare what the policy commands at a frame with what was recorded for it.",
        "A policy may drive well and still differ from the recording: `vla sim bench` measures success.",
        _PERFECT,
        "Always the mean is the best constant there is for these very recordings, known only in hindsight.",
        "Repeating the last command is hard to beat on error at a high frame rate, and useless as a policy.",
        f"Direction is compared where the recorded value exceeds {DEAD_BAND:.0%} of full speed.",
        "Intervals come from drawing whole episodes again a thousand times.",
    )
    return html.section("How to read this", html.bullets(sentences))


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}"
