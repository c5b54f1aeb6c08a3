from __future__ import annotations

import numpy as np
import pytest
import torch
from rounding import assert_same, differ

from mobile_vla.engine.probe import frames
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.engine.torch_engine import policy_of
from mobile_vla.policy.window import Window

TEXT = "drive to the red ball"
# towers over a batch round differently than over one frame; another window moves outputs by a tenth


def fused(policy: StreamingPolicy, pictures) -> torch.Tensor:
    """LSTM inputs (frames, width), all from one pass through the towers."""
    return torch.cat(list(policy._executor.encode([policy.prepare(picture) for picture in pictures], TEXT)))


@pytest.fixture
def policy(loaded) -> StreamingPolicy:
    return policy_of(loaded, 1)


def test_the_window_drops_the_oldest_row() -> None:
    window = Window(3)
    for value in range(5):
        rows = window.push(torch.full((1, 2), float(value)))
    assert rows[0, :, 0].tolist() == [2.0, 3.0, 4.0]
    window.reset()
    assert len(window) == 0


def test_steady_state_equals_a_batch_over_the_last_window_from_zero(policy: StreamingPolicy, loaded) -> None:
    """The batch run is made with the module tree itself: towers, fusion, LSTM over exactly `window` frames, head."""
    pictures = frames(3, 20)
    streamed = [policy.raw(picture, TEXT) for picture in pictures]
    window = loaded.card.window
    with torch.inference_mode():
        rows = fused(policy, pictures[-window:])
        batch = loaded.model.actions(loaded.model.rnn(rows[None])[0][:, -1])[0]
    assert_same(streamed[-1], batch)


def test_the_same_rows_give_the_same_outputs(policy: StreamingPolicy, loaded) -> None:
    """Without the towers' rounding: streamed rows and the same rows as one batch."""
    rows = torch.randn(11, 1, loaded.model.layout.head.rnn_in, generator=torch.Generator().manual_seed(0))
    streamed = [policy._executor.act([row])[0] for row in rows][-1]
    with torch.inference_mode():
        batch = loaded.model.act(rows[-loaded.card.window :].transpose(0, 1))[0]
    assert_same(streamed, batch)


def test_every_step_equals_the_batch_run(policy: StreamingPolicy, loaded) -> None:
    pictures = frames(4, 12)
    streamed = [policy.raw(picture, TEXT) for picture in pictures]
    rows, window = fused(policy, pictures), loaded.card.window
    with torch.inference_mode():
        batch = torch.cat([loaded.model.act(rows[None, max(0, end - window) : end]) for end in range(1, 13)])
    assert_same(streamed, batch)
    assert_same(policy.raw_sequence(pictures, TEXT), batch)


def test_a_sequence_starts_and_ends_with_an_empty_window(policy: StreamingPolicy) -> None:
    pictures = frames(11, 3)
    policy.raw(pictures[2], TEXT)
    whole = policy.raw_sequence(pictures, TEXT)
    assert_same([policy.raw(picture, TEXT) for picture in pictures], whole)


def test_rows_are_the_fused_features(policy: StreamingPolicy, loaded) -> None:
    """Fitting a head takes the features of the same pass."""
    executor, prepared = policy._executor, [policy.prepare(picture) for picture in frames(12, 3)]
    features = executor.features(prepared, TEXT)
    assert features.shape == (3, loaded.model.layout.head.feature_width)
    with torch.inference_mode():
        assert_same(torch.cat(list(executor.encode(prepared, TEXT))), loaded.model.fuse(features))


@pytest.mark.parametrize("at_once", [2, 5, 16])
def test_batched_frames_equal_single_steps(policy: StreamingPolicy, at_once: int) -> None:
    """From an empty window, over the moment it fills, and on."""
    pictures = frames(9, 21)
    streamed = [policy.step(picture, TEXT).action for picture in pictures]
    policy.reset()
    together = []
    for begin in range(0, len(pictures), at_once):
        part = [policy.prepare(picture) for picture in pictures[begin : begin + at_once]]
        together += [step.action for step in policy.steps(part, TEXT)]
    assert np.ptp(streamed, axis=0).min() > 0.1
    assert_same(together, streamed)


def test_a_batch_of_one_equals_a_step(policy: StreamingPolicy) -> None:
    picture = frames(10, 1)[0]
    single = policy.step(picture, TEXT).action
    policy.reset()
    assert_same(policy.steps([policy.prepare(picture)], TEXT)[0].action, single)


def test_frames_older_than_the_window_have_no_effect(policy: StreamingPolicy, loaded) -> None:
    window = loaded.card.window
    first, second, common = frames(5, 3), frames(6, 3), frames(7, window)
    ends = []
    for before in (first, second):
        policy.reset()
        ends.append([policy.raw(picture, TEXT) for picture in (*before, *common)])
    assert_same(ends[0][-1], ends[1][-1])
    assert differ(ends[0][-2], ends[1][-2])


def test_reset_clears_the_window(policy: StreamingPolicy) -> None:
    picture = frames(8, 2)
    fresh = policy.raw(picture[0], TEXT)
    policy.raw(picture[1], TEXT)
    assert differ(policy.raw(picture[0], TEXT), fresh)
    policy.reset()
    assert_same(policy.raw(picture[0], TEXT), fresh)
