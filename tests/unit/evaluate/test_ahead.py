"""Frames prepared ahead and encoded together: the same commands as one live step after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bag_making import START_NS, Messages

from mobile_vla.bags.images import rgb
from mobile_vla.bags.writer import BagWriter
from mobile_vla.control import ControllerConfig
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.probe import frames
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.evaluate.evaluation import NamedPolicy, evaluate
from mobile_vla.evaluate.frames import Selection
from mobile_vla.evaluate.rollout import RolloutFrame
from mobile_vla.evaluate.schedule import EvaluationOptions
from mobile_vla.policy.interface import Step

# of full speed; towers over several frames round differently than over one
ROUNDING = 1e-5
FULL = np.array([0.3, 0.8])
NONE = EvaluationOptions()


class Ahead:
    """Acts by the grey level of the first pixel; notes what was handed over together."""

    def __init__(self, at_once: int = 4) -> None:
        self.card = SimpleNamespace(action_space="diff", untrained=False, control_rate_hz=10.0)
        self.description: dict[str, Any] = {"weights": "random"}
        self.frames_at_once = at_once
        self.prepare: Callable[[Any], Any] = lambda frame: int(frame[0, 0, 0])
        self.together: list[tuple[str, list[int]]] = []

    def reset(self) -> None:
        self.together.append(("reset", []))

    def step(self, frame_rgb: Any, instruction: str) -> Step:
        raise AssertionError("a policy that works ahead is not stepped frame by frame")

    def steps(self, prepared: Sequence[int], instruction: str) -> list[Step]:
        self.together.append((instruction, list(prepared)))
        return [Step((level / 255, 0.0), {"encode": 1.0}) for level in prepared]

    def self_check(self) -> None: ...


def write(folder: Path, messages: Messages, pictures: Sequence[np.ndarray], texts: dict[int, str]) -> Path:
    with BagWriter(folder) as bag:
        for name, kind in (("/camera/image_raw", "sensor_msgs/msg/Image"), ("/instruction", "std_msgs/msg/String")):
            bag.add_topic(name, kind)
        for i, picture in enumerate(pictures):
            log_ns = START_NS + i * 100_000_000
            if i in texts:
                bag.write("/instruction", log_ns, messages.text(texts[i]))
            bag.write("/camera/image_raw", log_ns, messages.image(log_ns, picture, "rgb8"))
    return folder


def grey(count: int) -> list[np.ndarray]:
    return [np.full((24, 32, 3), i, np.uint8) for i in range(count)]


def run(bag: Path, *policies: Any, options: EvaluationOptions = NONE, **more: Any) -> Any:
    named = [NamedPolicy(name, policy) for name, policy in zip("AB"[: len(policies)], policies, strict=True)]
    return evaluate([bag], named, ControllerConfig(), options, Selection(), **more)


def test_frames_of_one_episode_are_batched(tmp_path: Path, messages: Messages) -> None:
    policy = Ahead()
    evaluation = run(write(tmp_path / "bag", messages, grey(11), {0: "red", 6: "blue"}), policy)
    assert policy.together == [
        ("reset", []),
        ("red", [0, 1, 2, 3]),
        ("red", [4, 5]),
        ("reset", []),
        ("blue", [6, 7, 8, 9]),
        ("blue", [10]),
    ]
    np.testing.assert_allclose(np.frombuffer(evaluation.columns.predicted[0][0]), 0.3 * np.arange(11) / 255)


def test_a_lost_frame_is_counted_and_not_batched(tmp_path: Path, messages: Messages) -> None:
    policy = Ahead(3)
    options = EvaluationOptions(drop=0.5, seed=1)
    evaluation = run(write(tmp_path / "bag", messages, grey(60), {0: "go"}), policy, options=options)
    seen = [level for _, levels in policy.together for level in levels]
    held = np.array([max((level for level in seen if level <= i), default=0) for i in range(60)])
    assert 15 < len(seen) < 45
    assert evaluation.columns.dropped == 60 - len(seen)
    np.testing.assert_allclose(np.frombuffer(evaluation.columns.predicted[0][0]), 0.3 * held / 255)


def test_frames_that_do_not_count_are_not_decoded(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(
        "mobile_vla.evaluate.rollout.rgb",
        lambda frame: decoded.append((frame.stamp_ns - START_NS) // 10**8) or rgb(frame),
    )
    run(write(tmp_path / "bag", messages, grey(20), {15: "go"}), Ahead())
    assert sorted(decoded) == list(range(15, 20))


def test_two_policies_that_prepare_alike_share_the_work(tmp_path: Path, messages: Messages) -> None:
    made: list[int] = []

    def prepare(frame: Any) -> int:
        made.append(int(frame[0, 0, 0]))
        return made[-1]

    first, second = Ahead(), Ahead()
    first.prepare = second.prepare = prepare
    run(write(tmp_path / "bag", messages, grey(10), {0: "go"}), first, second)
    assert sorted(made) == list(range(10))


@pytest.fixture(scope="module")
def policy() -> StreamingPolicy:
    return open_policy(InferenceConfig(allow_untrained=True))


def test_an_evaluation_commands_what_the_live_policy_would(
    policy: StreamingPolicy, tmp_path: Path, messages: Messages
) -> None:
    """A live robot steps frame by frame; 40 frames here, so that batches begin with an empty and a full window."""
    pictures = frames(11, 40)
    bag = write(tmp_path / "bag", messages, pictures, {0: "find the red cone", 25: "go to the blue box"})
    moments: list[RolloutFrame] = []
    first = run(bag, policy, on_moment=moments.append)
    live = []
    for i, picture in enumerate(pictures):
        if i in (0, 25):
            policy.reset()
        live.append(policy.step(picture, "find the red cone" if i < 25 else "go to the blue box").action)
    predicted = np.array([np.frombuffer(column) for column in first.columns.predicted[0]]).T
    assert np.ptp(live, axis=0).min() > 0.1
    np.testing.assert_allclose(predicted / FULL, live, atol=ROUNDING)
    np.testing.assert_allclose([moment.actions[0] for moment in moments], live, atol=ROUNDING)
    assert run(bag, policy).results[0].digest == first.results[0].digest
