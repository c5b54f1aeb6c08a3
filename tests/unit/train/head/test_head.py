"""A head fitted on recordings: what it learns, that it goes on after a kill, that the result is a normal checkpoint."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bag_making import Messages
from rounding import AFTER_TRAINING, assert_same

from mobile_vla.bags.dataset.build import BuildOptions, build
from mobile_vla.bags.dataset.manifest import Manifest
from mobile_vla.bags.writer import BagWriter
from mobile_vla.checkpoint.source import sha256_of
from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.engine import open_policy, synthetic
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.load import Loaded, load
from mobile_vla.errors import UserError
from mobile_vla.train.head.config import FitConfig
from mobile_vla.train.head.drives import Drives, joined, outputs, windows
from mobile_vla.train.head.features import FeatureCache
from mobile_vla.train.head.fit import Epoch, Fit
from mobile_vla.train.head.run import targets_of, train_head

QUICK = FitConfig(epochs=16, patience=16, batch=32, rate=4e-3)
START_NS = 1_700_000_000_000_000_000
ROBOT = ControllerConfig()
torch.set_num_threads(1)  # more than the free cores makes small models many times slower


@pytest.fixture(scope="session")
def base() -> Path:
    return synthetic.cached("tiny")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Turns left when the left half of the picture is bright, right when the right half is: learnable by any tower."""
    folder, messages = tmp_path_factory.mktemp("recorded"), Messages()
    bags = []
    for number in range(5):
        random = np.random.default_rng(number)
        with BagWriter(folder / f"bag{number}") as bag:
            bag.add_topic("/camera/image_raw", "sensor_msgs/msg/Image")
            bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
            bag.add_topic("/instruction", "std_msgs/msg/String")
            bag.write("/instruction", START_NS, messages.text("go to the light"))
            side = 1
            for index in range(30):
                if random.random() < 0.15:
                    side = -side
                stamp = START_NS + index * 100_000_000
                pixels = random.integers(0, 60, (48, 64, 3)).astype(np.uint8)
                half = slice(0, 32) if side > 0 else slice(32, 64)
                pixels[:, half] = pixels[:, half] + 180
                bag.write("/camera/image_raw", stamp, messages.image(stamp, pixels, "rgb8"))
                bag.write("/cmd_vel", stamp + 1000, messages.command(0.15, 0.4 * side))
        bags.append(folder / f"bag{number}")
    return build(bags, folder / "set", BuildOptions(val_share=0.2, test_share=0.0))


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features are computed once for all tests that do not look at the cache itself."""
    return tmp_path_factory.mktemp("work")


def loaded_from(base: Path) -> Loaded:
    return load(base, None, torch.float32)


def drives_of(data: Manifest, loaded: Loaded, cache: FeatureCache, split: str) -> Drives:
    parts = cache.load(data, split)
    return joined([Drives.one(part.features, targets_of(part.actions, loaded.card, ROBOT)) for part in parts])


@pytest.mark.slow
def test_it_learns_what_is_in_the_pictures(base: Path, data: Manifest, work: Path, tmp_path: Path) -> None:
    result = train_head(base, data, tmp_path / "fitted.safetensors", ROBOT, QUICK, work=work)
    assert result.best.val_mae[1] < 0.5 * result.baseline_mae[1]  # the turn: the mean knows nothing
    policy = open_policy(InferenceConfig(checkpoint=str(result.checkpoint), allow_untrained=True))
    policy.self_check()
    for side in (1, -1):
        frame = np.full((48, 64, 3), 30, np.uint8)
        frame[:, slice(0, 32) if side > 0 else slice(32, 64)] = 210
        policy.reset()
        for _ in range(policy.card.window):  # type: ignore[attr-defined]
            action = policy.step(frame, "go to the light").action
        assert np.sign(action[1]) == side
    page = result.report.read_text()
    assert "always the training mean would err" in page
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "fitted.safetensors",
        "fitted.safetensors.card.yaml",
        "fitted.training.html",
        "fitted.training.json",
    ]


def test_towers_are_frozen_and_random_towers_stay_marked(
    base: Path, data: Manifest, work: Path, tmp_path: Path
) -> None:
    result = train_head(
        base, data, tmp_path / "short.safetensors", ROBOT, dataclasses.replace(QUICK, epochs=1), work=work
    )
    before, after = loaded_from(base), loaded_from(result.checkpoint)
    same = {
        name: torch.equal(parameter, dict(after.model.named_parameters())[name])
        for name, parameter in before.model.named_parameters()
    }
    assert all(same[name] for name in same if name.startswith(("kosmos_model.", "clip_model.")))
    assert not any(same[name] for name in same if name.startswith("rnn.weight"))
    assert after.card.untrained  # its towers are random
    assert "head: 120 frames" in after.card.training_data
    assert after.card.probe is not None


@pytest.mark.slow
def test_resuming_after_a_kill_gives_the_same_weights(base: Path, data: Manifest, work: Path, tmp_path: Path) -> None:
    def run(state: Path, stop_after: int | None) -> tuple[list[Epoch], torch.Tensor]:
        loaded = loaded_from(base)
        cache = FeatureCache(loaded, sha256_of((base,)), work / "features")
        train, val = (drives_of(data, loaded, cache, split) for split in ("train", "val"))
        fit = Fit(loaded.model, loaded.card.window, dataclasses.replace(QUICK, epochs=4), state)

        def stop(epoch: Epoch) -> None:
            if stop_after is not None and epoch.number + 1 == stop_after:
                raise KeyboardInterrupt

        fit.run(train, val, stop)
        return fit.history, fit.predict(val)

    straight, predicted = run(tmp_path / "straight.pt", None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken.pt", 2)
    resumed, again = run(tmp_path / "broken.pt", None)
    assert [epoch.number for epoch in resumed] == [epoch.number for epoch in straight]
    assert_same([epoch.val_mae for epoch in resumed], [epoch.val_mae for epoch in straight], within=AFTER_TRAINING)
    assert_same(again, predicted, within=AFTER_TRAINING)


def test_a_saved_state_with_other_settings_is_refused(base: Path, data: Manifest, work: Path, tmp_path: Path) -> None:
    options = {"work": work}
    train_head(base, data, tmp_path / "a.safetensors", ROBOT, dataclasses.replace(QUICK, epochs=1), **options)
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(UserError, match="belongs to a run with other settings"):
        train_head(base, data, tmp_path / "a.safetensors", ROBOT, dataclasses.replace(QUICK, epochs=2), **options)


def test_features_are_computed_once_and_never_for_other_weights(base: Path, data: Manifest, tmp_path: Path) -> None:
    loaded = loaded_from(base)
    first = FeatureCache(loaded, sha256_of((base,)), tmp_path)
    kept = first.load(data, "train")
    again = FeatureCache(loaded, sha256_of((base,)), tmp_path)
    assert torch.equal(again.load(data, "train")[0].features, kept[0].features)
    assert (first.computed, again.computed) == (4, 0)
    other = FeatureCache(loaded, "other weights", tmp_path)
    other.load(data, "train")
    assert other.computed == 4


def test_windows_by_hand() -> None:
    drives = joined(
        [
            Drives.one(torch.arange(3.0)[:, None], torch.zeros(3, 2)),
            Drives.one(torch.arange(10.0, 14.0)[:, None], torch.zeros(4, 2)),
        ]
    )
    rows, lengths = windows(drives.starts, torch.tensor([0, 2, 3, 6]), window=3)
    assert lengths.tolist() == [1, 3, 1, 3]
    frames = drives.features[rows]
    shown = [window[:length, 0].tolist() for window, length in zip(frames, lengths.tolist(), strict=True)]
    assert shown == [[0.0], [0.0, 1.0, 2.0], [10.0], [11.0, 12.0, 13.0]]


def test_training_and_driving_compute_the_same(base: Path) -> None:
    model = loaded_from(base).model
    width = model.layout.head.feature_width
    frames, lengths = torch.randn(3, 5, width), torch.tensor([5, 2, 4])
    with torch.no_grad():
        got = outputs(model, frames, lengths)
        for row, length in enumerate(lengths.tolist()):
            expected = model.act(model.fuse(frames[row : row + 1, :length]))[0]
            torch.testing.assert_close(got[row], expected)


def test_targets_undo_the_robots_scale(base: Path) -> None:
    card = loaded_from(base).card
    scaled = dataclasses.replace(card, action=dataclasses.replace(card.action, scale=(2.0, 0.5), offset=(0.1, 0.0)))
    actions = np.array([[0.3, 0.0, -0.4], [9.0, 0.0, 0.0]], np.float32)
    got = targets_of(actions, scaled, ROBOT)  # full speed 0.3 m/s and 0.8 rad/s
    torch.testing.assert_close(got, torch.tensor([[0.45, -1.0], [0.45, 0.0]]))
    omni = with_values(ROBOT, {"base.kind": "omni", "action.space": "omni"})
    with pytest.raises(UserError, match="acts in diff, the robot is configured for omni"):
        targets_of(actions, scaled, omni)


def test_a_set_without_held_out_episodes_is_refused(base: Path, data: Manifest, tmp_path: Path) -> None:
    only_train = [dataclasses.replace(entry, split="train") for entry in data.episodes]
    with pytest.raises(UserError, match="has no val episodes"):
        train_head(base, dataclasses.replace(data, episodes=only_train), tmp_path / "a.safetensors", ROBOT, QUICK)
    shutil.copy(base, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="exists already"):
        train_head(base, data, tmp_path / "a.safetensors", ROBOT, QUICK)
